"""What stays in a store and what may go: who keeps an experiment, what goes together, and what each job takes of the disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from dropviz.store.parts import files_below
from dropviz.store.records import FINAL, LIVE
from dropviz.store.schema import (
    arrays,
    experiment_jobs,
    experiment_results,
    experiments,
    jobs,
    points,
    results,
    sweep_cells,
    sweeps,
)
from dropviz.store.weights import Weights

DAY = 86400.0
TRASH_DAYS = 7.0  # what its owner deleted can be taken back for so long
ROW_BYTES = 60  # of a point or an array besides its values, about
JOB_BYTES = 6000  # of a job with its results and its part of an experiment, about

measuring = jobs.alias("measuring")


@dataclass(frozen=True)
class Unit:
    """What is deleted together: an experiment, or a sweep with its cells, and when something last happened to it."""

    sweep: str | None
    experiments: tuple[str, ...]
    at: float
    thrown_away: bool


def keepers(now: float) -> ColumnElement[bool]:
    """Experiments that stay whatever their age."""
    live = select(jobs.c.id).where(jobs.c.state.in_(LIVE))
    under_way = select(experiment_jobs.c.experiment_id).where(
        or_(experiment_jobs.c.job_id.in_(live), experiment_jobs.c.job_id.in_(being_measured()))
    )
    liked = experiments.c.deleted_at.is_(None) & (experiments.c.pinned | experiments.c.shared)
    can_be_taken_back = experiments.c.deleted_at > now - TRASH_DAYS * DAY
    return or_(liked, can_be_taken_back, experiments.c.class_id.is_not(None), experiments.c.id.in_(under_way))


def being_measured() -> Select[tuple[int]]:
    """Jobs whose weights a refresh measures, or waits to measure."""
    return select(measuring.c.weights_of).where(
        measuring.c.weights_of.is_not(None), measuring.c.state.in_(LIVE)
    )


def is_orphan() -> ColumnElement[bool]:
    """Nobody's experiment has the job, or a result of it."""
    used = select(results.c.job_id).join(experiment_results, experiment_results.c.result_id == results.c.id)
    return jobs.c.id.not_in(select(experiment_jobs.c.job_id)) & jobs.c.id.not_in(used)


def units(connection: Connection, now: float) -> Iterator[Unit]:
    """All that may go, each with what goes with it."""
    kept = set(connection.execute(select(experiments.c.id).where(keepers(now))).scalars())
    finished = _finished(connection)
    rows = connection.execute(
        select(experiments.c.id, experiments.c.created_at, experiments.c.deleted_at)
    ).all()
    at = {row.id: max(row.created_at, finished.get(row.id, 0.0)) for row in rows}
    deleted = {row.id for row in rows if row.deleted_at is not None}
    cells: dict[str, list[str]] = {}
    for sweep, view_id in connection.execute(select(sweep_cells.c.sweep_id, sweep_cells.c.experiment_id)):
        cells.setdefault(sweep, []).append(view_id)
    in_sweeps = {view_id for view_ids in cells.values() for view_id in view_ids}
    kept_at = now - TRASH_DAYS * DAY
    for row in connection.execute(select(sweeps.c.id, sweeps.c.created_at, sweeps.c.deleted_at)):
        own = tuple(dict.fromkeys(cells.get(row.id, ())))
        if not kept & set(own) and (row.deleted_at or 0.0) < kept_at:
            last_at = max([row.created_at, *(at[view_id] for view_id in own)])
            yield Unit(row.id, own, last_at, row.deleted_at is not None)
    for view_id in at.keys() - in_sweeps - kept:
        yield Unit(None, (view_id,), at[view_id], view_id in deleted)


def _finished(connection: Connection) -> dict[str, float]:
    """Experiment → when the last of its jobs ended, or of what measured their weights."""
    found: dict[str, float] = {}
    own = jobs.c.id == experiment_jobs.c.job_id
    measured = measuring.c.weights_of == experiment_jobs.c.job_id
    for table, condition in ((jobs, own), (measuring, measured)):
        query = select(experiment_jobs.c.experiment_id, func.max(table.c.finished_at)).join(table, condition)
        for view_id, at in connection.execute(query.group_by(experiment_jobs.c.experiment_id)):
            found[view_id] = max(found.get(view_id, 0.0), at or 0.0)
    return found


def attached(connection: Connection) -> dict[int, list[str]]:
    """Job → the experiments that have it."""
    found: dict[int, list[str]] = {}
    for job, view_id in connection.execute(select(experiment_jobs.c.job_id, experiment_jobs.c.experiment_id)):
        found.setdefault(job, []).append(view_id)
    return found


def refreshes(connection: Connection) -> dict[int, list[int]]:
    """Job → what measured its weights."""
    found: dict[int, list[int]] = {}
    for job, measured in connection.execute(
        select(jobs.c.id, jobs.c.weights_of).where(jobs.c.weights_of.is_not(None))
    ):
        found.setdefault(measured, []).append(job)
    return found


def loose_jobs(connection: Connection, cutoff: float, measured_by: Mapping[int, Collection[int]]) -> set[int]:
    """Jobs that belong to nobody now, with what measured their weights; and estimates that are old."""
    unused = (jobs.c.kind == "train") & is_orphan() & jobs.c.id.not_in(being_measured())
    old = (jobs.c.kind == "estimate") & (jobs.c.finished_at < cutoff)
    query = select(jobs.c.id).where(or_(unused, old), jobs.c.state.in_(FINAL))
    return {one for job in connection.execute(query).scalars() for one in (job, *measured_by.get(job, ()))}


def old_weights(connection: Connection, cutoff: float) -> set[int]:
    """Jobs that ended long ago, that no pinned or shared experiment has and whose weights nobody measured since."""
    kept = (
        select(experiment_jobs.c.job_id)
        .join(experiments, experiments.c.id == experiment_jobs.c.experiment_id)
        .where(experiments.c.pinned | experiments.c.shared)
    )
    lately = select(measuring.c.weights_of).where(
        measuring.c.weights_of.is_not(None), measuring.c.finished_at >= cutoff
    )
    query = select(jobs.c.id).where(
        jobs.c.finished_at < cutoff,
        jobs.c.id.not_in(kept),
        jobs.c.id.not_in(lately),
        jobs.c.id.not_in(being_measured()),
    )
    return set(connection.execute(query).scalars())


def job_bytes(connection: Connection, files: Mapping[int, int]) -> dict[int, int]:
    """What each job takes of the disk, about.

    It follows from what is there alone. The size of a file, or of a PostgreSQL database, would not shrink with what is deleted:
    who compares that with a limit deletes more every day.
    """
    found = {job: JOB_BYTES + files.get(job, 0) for job in connection.execute(select(jobs.c.id)).scalars()}
    for table, column in ((points, points.c["values"]), (arrays, arrays.c.data)):
        query = select(table.c.job_id, func.count(), func.sum(func.length(column))).group_by(table.c.job_id)
        for job, rows, held in connection.execute(query):
            found[job] = found.get(job, 0) + rows * ROW_BYTES + int(held)
    return found


def file_bytes(weights: Weights) -> dict[int, int]:
    """Job → bytes of the weights that it kept."""
    return {job: sum(size for _, size in files_below(weights.folder / str(job))) for job in weights.jobs()}
