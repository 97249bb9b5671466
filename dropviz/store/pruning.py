"""Deleting what is old: experiments and sweeps that nobody keeps, and with them what then belongs to nobody.

Kept whatever its age: what is pinned, shared, of a class, or under way; a sweep as long as one of its cells is. Everything is
decided from one look at the store (``plan``) and done in many small transactions (``carry_out``), each of which looks again, so
that others read and write meanwhile, and what somebody pins or joins in the last moment stays.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, delete, func, or_, select

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
from dropviz.store.store import Store

DAY = 86400.0
TRASH_DAYS = 7.0  # what its owner deleted can be taken back for so long
TOGETHER = 20  # experiments, or jobs, of one transaction
ROW_BYTES = 60  # of a point or an array besides its values, about
JOB_BYTES = 3000  # of a job with its results, about


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is too much: ``days`` since something last happened to an experiment, ``bytes`` of all; None sets no limit."""

    days: float | None = None
    bytes: int | None = None

    def __bool__(self) -> bool:
        return self.days is not None or self.bytes is not None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be deleted.

    Attributes:
        experiments: Their ids, those of sweeps included.
        sweeps: Their ids.
        jobs: Jobs that then belong to nobody, with what measured their weights, and old estimates.
        weights: Jobs that stay without the weights they had at former steps.
        bytes: What all of it takes, about.
        total: What the store takes now: database, weights and checkpoints.
    """

    experiments: tuple[str, ...]
    sweeps: tuple[str, ...]
    jobs: tuple[int, ...]
    weights: tuple[int, ...]
    bytes: int
    total: int

    def __bool__(self) -> bool:
        return bool(self.experiments or self.sweeps or self.jobs or self.weights)


@dataclass(frozen=True)
class _Unit:
    """What is deleted together: an experiment, or a sweep with its cells, and when something last happened to it."""

    sweep: str | None
    experiments: tuple[str, ...]
    at: float
    trash: bool


def plan(store: Store, rules: Rules, now: float | None = None) -> Plan:
    """Decide what is deleted: what was thrown away long ago, then by age, then the oldest until the rest is small enough."""
    now = store.now() if now is None else now
    cutoff = now - rules.days * DAY if rules.days is not None else 0.0
    files = _file_bytes(store)
    with store.database.read() as connection:
        units = sorted(_units(connection, now), key=lambda unit: (not unit.trash, unit.at))
        attached = _attached(connection)
        sizes = _job_bytes(connection, files)
        old_weights = _old_weights(connection, cutoff) & files.keys()
        measured_by = _refreshes(connection)
        loose = _loose_jobs(connection, cutoff, measured_by)
        total = _used_bytes(connection) + sum(files.values())
    count = {job: len(views) for job, views in attached.items()}
    of = _by_experiment(attached)
    chosen: list[_Unit] = []
    gone = set(loose)
    freed = sum(sizes.get(job, 0) for job in gone)
    for unit in units:
        excess = rules.bytes is not None and total - freed > rules.bytes
        if not (unit.trash or unit.at < cutoff or excess):
            continue
        chosen.append(unit)
        for job in (job for view_id in unit.experiments for job in of.get(view_id, ())):
            count[job] -= 1
            if count[job] == 0:
                with_it = {job, *measured_by.get(job, ())} - gone
                gone |= with_it
                freed += sum(sizes.get(one, 0) for one in with_it)
    weights = old_weights - gone
    return Plan(
        experiments=tuple(view_id for unit in chosen for view_id in unit.experiments),
        sweeps=tuple(unit.sweep for unit in chosen if unit.sweep is not None),
        jobs=tuple(sorted(gone)),
        weights=tuple(sorted(weights)),
        bytes=freed + sum(files[job] for job in weights),
        total=total,
    )


def carry_out(store: Store, planned: Plan) -> None:
    """Delete what is planned, but for what somebody keeps by now."""
    for sweep in planned.sweeps:
        with store.database.write() as connection:
            connection.execute(delete(sweep_cells).where(sweep_cells.c.sweep_id == sweep))
            connection.execute(delete(sweeps).where(sweeps.c.id == sweep))
    for some in _groups(planned.experiments):
        with store.database.write() as connection:
            _delete_experiments(connection, some)
    for group in _groups(planned.jobs):
        with store.database.write() as connection:
            deleted = _delete_jobs(connection, group)
        for job in deleted:
            store.weights.remove(job)
    for job in planned.weights:
        store.weights.remove(job)


def _keepers(now: float) -> ColumnElement[bool]:
    """Experiments that stay whatever their age."""
    live = (
        select(experiment_jobs.c.experiment_id)
        .join(jobs, jobs.c.id == experiment_jobs.c.job_id)
        .where(jobs.c.state.in_(LIVE))
    )
    liked = experiments.c.deleted_at.is_(None) & (experiments.c.pinned | experiments.c.shared)
    can_be_taken_back = experiments.c.deleted_at > now - TRASH_DAYS * DAY
    return or_(liked, can_be_taken_back, experiments.c.class_id.is_not(None), experiments.c.id.in_(live))


def _units(connection: Connection, now: float) -> Iterator[_Unit]:
    kept = set(connection.execute(select(experiments.c.id).where(_keepers(now))).scalars())
    last = (
        select(experiment_jobs.c.experiment_id, func.max(jobs.c.finished_at))
        .join(jobs, jobs.c.id == experiment_jobs.c.job_id)
        .group_by(experiment_jobs.c.experiment_id)
    )
    finished = {view_id: at or 0.0 for view_id, at in connection.execute(last)}
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
            yield _Unit(row.id, own, last_at, row.deleted_at is not None)
    for view_id in at.keys() - in_sweeps - kept:
        yield _Unit(None, (view_id,), at[view_id], view_id in deleted)


def _attached(connection: Connection) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for job, view_id in connection.execute(select(experiment_jobs.c.job_id, experiment_jobs.c.experiment_id)):
        found.setdefault(job, []).append(view_id)
    return found


def _by_experiment(attached: Mapping[int, Collection[str]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for job, views in attached.items():
        for view_id in views:
            found.setdefault(view_id, []).append(job)
    return found


def _refreshes(connection: Connection) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for job, measured in connection.execute(
        select(jobs.c.id, jobs.c.weights_of).where(jobs.c.weights_of.is_not(None))
    ):
        found.setdefault(measured, []).append(job)
    return found


def _loose_jobs(
    connection: Connection, cutoff: float, measured_by: Mapping[int, Collection[int]]
) -> set[int]:
    """Jobs that belong to nobody now, with what measured their weights; and estimates that are old."""
    unused = (jobs.c.kind == "train") & _is_orphan()
    old = (jobs.c.kind == "estimate") & (jobs.c.finished_at < cutoff)
    query = select(jobs.c.id).where(or_(unused, old), jobs.c.state.in_(FINAL))
    return {one for job in connection.execute(query).scalars() for one in (job, *measured_by.get(job, ()))}


def _is_orphan() -> ColumnElement[bool]:
    """Nobody's experiment has the job, or a result of it."""
    used = select(results.c.job_id).join(experiment_results, experiment_results.c.result_id == results.c.id)
    return jobs.c.id.not_in(select(experiment_jobs.c.job_id)) & jobs.c.id.not_in(used)


def _old_weights(connection: Connection, cutoff: float) -> set[int]:
    """Jobs that ended long ago and that no pinned or shared experiment has."""
    kept = (
        select(experiment_jobs.c.job_id)
        .join(experiments, experiments.c.id == experiment_jobs.c.experiment_id)
        .where(experiments.c.pinned | experiments.c.shared)
    )
    query = select(jobs.c.id).where(jobs.c.finished_at < cutoff, jobs.c.id.not_in(kept))
    return set(connection.execute(query).scalars())


def _job_bytes(connection: Connection, files: Mapping[int, int]) -> dict[int, int]:
    """What each job takes of the disk, about."""
    found = {job: JOB_BYTES + files.get(job, 0) for job in connection.execute(select(jobs.c.id)).scalars()}
    for table, column in ((points, points.c["values"]), (arrays, arrays.c.data)):
        query = select(table.c.job_id, func.count(), func.sum(func.length(column))).group_by(table.c.job_id)
        for job, rows, held in connection.execute(query):
            found[job] = found.get(job, 0) + rows * ROW_BYTES + held
    return found


def _file_bytes(store: Store) -> dict[int, int]:
    """Job → bytes of the weights that it kept."""
    return {
        job: sum(size for _, size in files_below(store.weights.folder / str(job)))
        for job in store.weights.jobs()
    }


def _used_bytes(connection: Connection) -> int:
    """What the database holds; pages that former deletions left free do not count."""
    if connection.dialect.name != "sqlite":
        return connection.execute(select(func.pg_database_size(func.current_database()))).scalar_one()
    pages, free, size = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _delete_experiments(connection: Connection, view_ids: Collection[str]) -> None:
    keepers = connection.execute(
        select(experiments.c.id).where(experiments.c.id.in_(view_ids), _keepers(time.time()))
    )
    cells = connection.execute(
        select(sweep_cells.c.experiment_id).where(sweep_cells.c.experiment_id.in_(view_ids))
    )
    gone = set(view_ids) - set(keepers.scalars()) - set(cells.scalars())
    for table in (experiment_results, experiment_jobs):
        connection.execute(delete(table).where(table.c.experiment_id.in_(gone)))
    connection.execute(delete(experiments).where(experiments.c.id.in_(gone)))


def _delete_jobs(connection: Connection, job_ids: Collection[int]) -> list[int]:
    """Delete those that still belong to nobody, with all that they recorded, and what measured their weights."""
    ended = select(jobs.c.id).where(jobs.c.id.in_(job_ids), jobs.c.state.in_(FINAL))
    unused = list(connection.execute(ended.where(jobs.c.kind != "train")).scalars())
    trained = list(connection.execute(ended.where(jobs.c.kind == "train", _is_orphan())).scalars())
    busy = select(jobs.c.weights_of).where(jobs.c.weights_of.in_(trained), jobs.c.state.in_(LIVE))
    trained = sorted(set(trained) - set(connection.execute(busy).scalars()))
    refreshes = connection.execute(select(jobs.c.id).where(jobs.c.weights_of.in_(trained))).scalars().all()
    measuring = sorted({*unused, *refreshes})
    for gone in (measuring, trained):  # what measured refers to what trained
        tables: tuple[Table, ...] = (results, points, arrays)
        for table in tables:
            connection.execute(delete(table).where(table.c.job_id.in_(gone)))
        connection.execute(delete(jobs).where(jobs.c.id.in_(gone)))
    return measuring + trained


def _groups(ids: Iterable) -> Iterator[list]:
    ordered = list(ids)
    for start in range(0, len(ordered), TOGETHER):
        yield ordered[start : start + TOGETHER]
