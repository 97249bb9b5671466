"""What holds after every fault, and in between: nothing lost, nothing doubled, every state true. Each violation is a sentence."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from dropviz.store.points import after
from dropviz.store.records import FINAL
from dropviz.store.schema import arrays, experiment_results, experiments, jobs, results
from tests.faults.processes import Process
from tests.faults.undisturbed import Entry, Undisturbed, entry, refreshed, trainee

REASONS = (
    r"killed by signal|ended with exit code|silent for \d+ seconds|had lost points"
    r"|cluster (lost|called it off at) worker|could not run it"
)
DIFFERENT_SHOWN = 3


def violations(store: Store, *, reasons: str = REASONS, job_ids: Sequence[int] | None = None) -> list[str]:
    """What does not hold of the jobs (all by default), their series, weights and results.

    Args:
        store: What to look at, in one moment of it.
        reasons: A pattern for the reasons that a failed job may have.
        job_ids: Look at these jobs only, and at no experiment.
    """
    found: list[str] = []
    with store.database.read() as connection:
        condition = jobs.c.id.in_(job_ids) if job_ids is not None else jobs.c.id > 0
        rows = list(connection.execute(select(jobs).where(condition)))
        series = {row.id: _series(connection, row.id) for row in rows}
        if job_ids is None:
            found += _of_experiments(connection)
    for row in rows:
        found += [
            f"job {row.id} ({row.state}): {what}" for what in _of_job(store, row, series[row.id], reasons)
        ]
    return found


def _of_job(store: Store, row: Row, numbered: list[tuple[int, Entry]], reasons: str) -> Iterator[str]:
    numbers = [number for number, _ in numbered]
    if numbers != list(range(row.seq + 1)):
        yield f"its records are numbered {_shown(numbers)}, not 0 to {row.seq}"
    if row.state == "failed" and not re.search(reasons, row.error or ""):
        yield f"it failed for a reason that nobody expected: {row.error} {row.traceback or ''}"
    if row.state != "failed" and row.error:
        yield f"it has an error: {row.error}"
    if row.state != "running" and row.pid is not None:
        yield f"it has a process, {row.pid}"
    if (row.state in FINAL) != (row.finished_at is not None):
        yield f"it ended at {row.finished_at}"
    if row.kind == "estimate":
        yield from _of_estimate(row, numbered)
        return
    there = [one for _, one in numbered]
    expected = _undisturbed(row, math.inf if row.state == "done" else len(there))
    if there != expected.series[: len(there)]:
        wrong = [n for n, one in enumerate(there) if expected.series[n : n + 1] != [one]]
        yield f"{len(wrong)} of {len(there)} records differ from an undisturbed run, first {_shown(wrong)}"
    if row.state == "done":
        if len(there) != len(expected.series):
            yield f"it has {len(there)} of {len(expected.series)} records"
        if row.step != row.total:
            yield f"it ended at step {row.step} of {row.total}"
        if row.kind == "train":
            yield from _of_weights(store, row, expected)


def _of_weights(store: Store, row: Row, expected: Undisturbed) -> Iterator[str]:
    steps = store.weights.steps(row.id)
    if steps != sorted(expected.weights):
        yield f"it kept weights of steps {_shown(steps)}, not {_shown(sorted(expected.weights))}"
    for step in set(steps) & set(expected.weights):
        kept = {name: value.tobytes() for name, value in store.kept_weights(row.id, step).items()}
        if kept != expected.weights[step]:
            yield f"its weights of step {step} differ from an undisturbed run"


def _of_estimate(row: Row, numbered: list[tuple[int, Entry]]) -> Iterator[str]:
    arms = json.loads(row.spec)["arms"]
    if row.state == "done" and [one[1] for _, one in numbered] != arms:
        yield f"it estimated {[one[1] for _, one in numbered]}, not {arms}"


def _of_experiments(connection: Connection) -> Iterator[str]:
    """Every arm and seed of every experiment has one result, in a job of the same arm; reusable ones have not come to nothing."""
    query = select(experiment_results, results.c.seed.label("of"), jobs.c.arm.label("trains"), jobs.c.seeds)
    query = query.add_columns(results.c.position).select_from(experiment_results.join(results).join(jobs))
    found: dict[str, Counter[tuple[str, int]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.experiment_id, Counter())[row.arm, row.seed] += 1
        if (row.arm, row.seed) != (row.trains, json.loads(row.seeds)[row.position]) or row.seed != row.of:
            yield f"experiment {row.experiment_id}: {row.arm}, seed {row.seed}, is a result of {row.trains}, seed {row.of}"
    for row in connection.execute(select(experiments.c.id, experiments.c.spec)):
        spec = ExperimentSpec.from_table(json.loads(row.spec))
        wanted = Counter((arm, seed) for arm in spec.arms for seed in spec.seed_list())
        if found.get(row.id) != wanted:
            yield f"experiment {row.id}: its results are {found.get(row.id)}, not {wanted}"
    ended = select(results.c.id, results.c.reusable, jobs.c.state).select_from(results.join(jobs))
    for row in connection.execute(ended):
        if row.reusable != (row.state not in ("failed", "stopped")):
            yield f"result {row.id}: reusable {row.reusable}, though its job is {row.state}"


def strays(store: Store, processes: Sequence[Process]) -> list[str]:
    """Children that run for no job, or two for one."""
    pids = Counter(job.pid for job in store.live_jobs() if job.state == "running" and job.pid)
    children = [one.pid for one in processes if one.role == "child"]
    twice = [f"process {pid} runs {count} jobs" for pid, count in pids.items() if count > 1]
    return twice + [f"process {pid} runs for no job" for pid in children if pid not in pids]


def _series(connection: Connection, job_id: int) -> list[tuple[int, Entry]]:
    """A job's records with their numbers, points and arrays together."""
    found = [(one.seq, entry(one.step, one.name, one.values)) for one in after(connection, job_id, -1)]
    for row in connection.execute(select(arrays).where(arrays.c.job_id == job_id)):
        shape = tuple(json.loads(row.shape))
        found.append((row.seq, (row.step, row.name, row.dtype, shape, row.data)))
    return sorted(found, key=lambda one: one[0])


def _undisturbed(row: Row, records: float) -> Undisturbed:
    seeds = tuple(json.loads(row.seeds))
    if row.kind == "refresh":
        return refreshed(row.spec, row.arm, seeds, row.weights_step)
    return trainee(row.spec, row.arm, seeds).until(records)


def _shown(values: Sequence[Any]) -> str:
    rest = f" and {len(values) - DIFFERENT_SHOWN} more" if len(values) > DIFFERENT_SHOWN else ""
    return f"{list(values[:DIFFERENT_SHOWN])}{rest}"
