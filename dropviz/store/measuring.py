"""Jobs that measure: what a spec costs here, and the whole spectrum of weights that a job kept. They belong to no experiment.

They wait in the same queue as what trains, under the same leases, and their series hold what they found.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select

from dropviz.duration import Costs, cost_key, refresh_seconds
from dropviz.experiment import ExperimentSpec, refresh_steps
from dropviz.store import limits, points
from dropviz.store.batches import batches
from dropviz.store.jobs import change, finish, ticket, touch_queue
from dropviz.store.reading import jobs_where
from dropviz.store.records import FINAL, LIVE, Estimate, Job, UnknownExperiment, identity
from dropviz.store.schema import experiment_results, experiments, jobs, results
from dropviz.store.weights import Weights, unusable

USABLE = (*LIVE, "done")


def request_estimate(connection: Connection, spec: ExperimentSpec, key: str, owner: str, now: float) -> None:
    """Queue a job that measures what a spec costs, unless one of the same key is under way or done."""
    if connection.execute(select(jobs.c.id).where(_estimates(key), jobs.c.state.in_(USABLE))).first():
        return
    limits.check_measuring(connection, owner, 1, now)
    row = {"kind": "estimate", "spec": spec.canonical(), "arm": "", "seeds": "[]", "total": len(spec.arms)}
    _queue(connection, row | {"cost_key": key, "owner": owner}, now)


def estimate(connection: Connection, key: str) -> Estimate | None:
    """The latest estimate of a key: one that is done, else under way, else how it failed."""
    found = connection.execute(select(jobs).where(_estimates(key)).order_by(jobs.c.id)).all()
    if not found:
        return None
    row = max(found, key=lambda row: (row.state == "done", row.state in LIVE, row.id))
    costs = _costs(connection, row.id) if row.state == "done" else {}
    return Estimate(job_id=row.id, state=row.state, error=row.error, costs=costs)


def _estimates(key: str) -> ColumnElement[bool]:
    return (jobs.c.kind == "estimate") & (jobs.c.cost_key == key)


def _costs(connection: Connection, job_id: int) -> Mapping[str, Costs]:
    return {point.name: Costs.of_values(point.values) for point in points.after(connection, job_id, -1)}


def request_refresh(
    connection: Connection, weights: Weights, view_id: str, arm: str, step: int, owner: str, now: float
) -> None:
    """Queue a job that measures the whole spectrum for each block of an arm, unless it is there or under way.

    Raises:
        UnknownExperiment: No experiment has this id.
        ValueError: The experiment has no such arm, or no weights of this step.
    """
    spec, measured = _arm_jobs(connection, view_id, arm)
    if step in refresh_steps(spec):
        raise ValueError(f"Step {step:,} has its whole spectrum without being asked: choose another step.")
    there = {
        job.weights_of
        for job in refreshes(connection, [job.id for job in measured])
        if job.weights_step == step and job.state in USABLE
    }
    missing = [job for job in measured if job.id not in there]
    for job in missing:
        of = identity(job.spec, job.arm, tuple(json.loads(job.seeds)))
        if not weights.has(job.id, step, of):
            raise ValueError(unusable(step))
    limits.check_measuring(connection, owner, len(missing), now)
    for job in missing:
        row = {"kind": "refresh", "spec": job.spec, "arm": job.arm, "seeds": job.seeds, "total": 1}
        row |= {"weights_of": job.id, "weights_step": step, "cost_key": cost_key(spec), "owner": owner}
        _queue(connection, row, now)


def _arm_jobs(connection: Connection, view_id: str, arm: str) -> tuple[ExperimentSpec, list[Row]]:
    """An experiment's spec, and the jobs that have its seeds of one arm."""
    row = connection.execute(select(experiments.c.spec).where(experiments.c.id == view_id)).first()
    if row is None:
        raise UnknownExperiment(view_id)
    query = (
        select(jobs)
        .join(results, results.c.job_id == jobs.c.id)
        .join(experiment_results, experiment_results.c.result_id == results.c.id)
        .where(experiment_results.c.experiment_id == view_id, experiment_results.c.arm == arm)
        .distinct()
        .order_by(jobs.c.id)
    )
    found = list(connection.execute(query).all())
    if not found:
        raise ValueError(f"This experiment has no arm {arm[:40]!r}: choose one that it has.")
    return ExperimentSpec.from_table(json.loads(row.spec)), found


def refreshes(connection: Connection, job_ids: Collection[int]) -> list[Job]:
    """The refreshes on request of the weights of these jobs, whatever became of them, the oldest first."""
    return jobs_where(connection, jobs.c.weights_of.in_(job_ids))


def expected_refresh(connection: Connection, spec: ExperimentSpec, arm: str, slots: int) -> float | None:
    """Seconds that a refresh on request of an arm will take: as earlier ones of this cost did, else as estimated, else None."""
    key = cost_key(spec)
    earlier = jobs_where(
        connection, (jobs.c.kind == "refresh") & (jobs.c.cost_key == key) & (jobs.c.state == "done")
    )
    taken = [job.evaluation_seconds + job.statistics_seconds for job in earlier]
    known = estimate(connection, key)
    if taken:
        return refresh_seconds(spec, arm, sorted(taken)[len(taken) // 2], slots)
    if known and arm in known.costs:
        costs = known.costs[arm]
        return refresh_seconds(spec, arm, costs.once + costs.evaluation + costs.refresh, slots)
    return None


def stop(connection: Connection, job_id: int, now: float) -> None:
    """Stop a job that measures.

    Raises:
        ValueError: There is no such job, or experiments want it.
    """
    row = connection.execute(select(jobs).where(jobs.c.id == job_id, jobs.c.kind != "train")).first()
    if row is None:
        raise ValueError(f"Job {job_id} measures nothing: stop the experiment that it belongs to.")
    if row.state in FINAL:
        return
    change(connection, job_id, wants="stop")
    if row.state == "queued":
        finish(connection, job_id, "stopped", now)
    touch_queue(connection)


def _queue(connection: Connection, row: dict[str, Any], now: float) -> None:
    waits = {"state": "queued", "wants": "run", "queued_at": ticket(connection, now)}
    connection.execute(insert(jobs).values(row | waits))
    touch_queue(connection)


def failed_among(connection: Connection, job_ids: Iterable[int]) -> set[int]:
    """Those of the given jobs that failed, or do not exist: nobody needs their weights."""
    asked = set(job_ids)
    for some in batches(asked):
        query = select(jobs.c.id).where(jobs.c.id.in_(some), jobs.c.state != "failed")
        asked.difference_update(connection.execute(query).scalars())
    return asked
