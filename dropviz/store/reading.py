"""Experiments as readers see them: their derived state, their revision."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, literal_column, select

from dropviz.experiment import ExperimentSpec
from dropviz.store.batches import batches
from dropviz.store.records import (
    FINAL,
    LEASE_SECONDS,
    LIVE,
    DeletedExperiment,
    Experiment,
    ExperimentState,
    ExperimentSummary,
    Job,
    Result,
    UnknownExperiment,
    Worker,
    identity,
)
from dropviz.store.schema import (
    experiment_jobs,
    experiment_results,
    experiments,
    jobs,
    results,
    workers,
)

_measuring = jobs.alias()
_attached_to = select(experiment_jobs.c.job_id).where(experiment_jobs.c.experiment_id == bindparam("view_id"))
# Built once: it is asked for every viewer, every second.
_REVISION = (
    select(
        experiments.c.revision.label("own"),
        func.coalesce(func.sum(jobs.c.revision), 0).label("of_jobs"),
        select(func.coalesce(func.sum(_measuring.c.revision), 0) + func.count())
        .where(_measuring.c.weights_of.in_(_attached_to))
        .scalar_subquery()
        .label("of_refreshes"),
        func.min(jobs.c.heartbeat_at).filter(jobs.c.state == "running").label("heartbeat_at"),
    )
    .select_from(experiments.join(experiment_jobs).join(jobs))
    .where(experiments.c.id == bindparam("view_id"), experiments.c.deleted_at.is_(None))
    .group_by(experiments.c.id)
)


def experiment(connection: Connection, view_id: str, now: float) -> Experiment:
    """All of an experiment but its points.

    Raises:
        UnknownExperiment: No experiment has this id.
        DeletedExperiment: Its owner threw it away.
    """
    row = connection.execute(select(experiments).where(experiments.c.id == view_id)).first()
    if row is None:
        raise UnknownExperiment(view_id)
    if row.deleted_at is not None:
        raise DeletedExperiment
    attached = _attached(connection, [view_id])[view_id]
    return Experiment(
        id=view_id,
        spec=ExperimentSpec.from_table(json.loads(row.spec)),
        owner=row.owner,
        created_at=row.created_at,
        origin=row.origin,
        wants=row.wants,
        state=derived_state(row.wants, attached, now),
        jobs=tuple(attached),
        results=tuple(_results(connection, view_id)),
        revision=revision(connection, view_id, now),
    )


def refreshed(connection: Connection, known: Experiment, now: float) -> Experiment:
    """The same experiment as it is now; its spec and its results never change and are not read again.

    Raises:
        UnknownExperiment: It is gone.
    """
    there = (experiments.c.id == known.id) & experiments.c.deleted_at.is_(None)
    wants = connection.execute(select(experiments.c.wants).where(there)).scalar()
    if wants is None:
        raise UnknownExperiment(known.id)
    attached = _attached(connection, [known.id])[known.id]
    return replace(
        known,
        wants=wants,
        state=derived_state(wants, attached, now),
        jobs=tuple(attached),
        revision=revision(connection, known.id, now),
    )


class HasState(Protocol):
    """As much of a job as decides the state of its experiments."""

    @property
    def state(self) -> str:
        """Of the job itself."""
        ...

    @property
    def wants(self) -> str:
        """What the attached experiments want together."""
        ...

    @property
    def heartbeat_at(self) -> float | None:
        """When it was last heard of."""
        ...

    @property
    def steps_per_second(self) -> float | None:
        """How fast it is; 0 where it stands still."""
        ...


class Attached(NamedTuple):
    """That much of a job, or of several in the same state."""

    state: str
    wants: str
    heartbeat_at: float | None
    steps_per_second: float | None


def derived_state(wants: str, attached: Sequence[HasState], now: float) -> ExperimentState:
    """The state of an experiment, from what it wants and the states of its jobs.

    A job that goes on for somebody else's sake does not keep a stopped or paused experiment running; when it is done
    for them, it is done here too.
    """
    states = {job.state for job in attached}
    if not states & set(LIVE):
        return next((state for state in ("failed", "stopped") if state in states), "done")
    if wants == "stop":
        return "stopped"
    running = [job for job in attached if job.state == "running" and (wants == "run" or job.wants == wants)]
    if running:
        still = any(_silent(job.heartbeat_at, now) or job.steps_per_second == 0 for job in running)
        return "stalled" if still else "running"
    if wants == "pause":
        stepping = any(job.state == "queued" and job.wants == "pause" for job in attached)
        return "queued" if stepping else "paused"
    return "running" if "running" in states else "queued"


def _silent(heartbeat_at: float | None, now: float) -> bool:
    """Whether it was last heard of long ago, or, by a clock that was set back, in a time that is to come."""
    return heartbeat_at is not None and abs(now - heartbeat_at) > LEASE_SECONDS


def revision(connection: Connection, view_id: str, now: float) -> int:
    """A number that grows whenever anything visible of an experiment changes but its place in the queue; one small query.

    It counts the changes of the experiment, its jobs and the refreshes of their weights on request. The last bit says
    whether a job has fallen silent, which is no change in the store.
    """
    row = connection.execute(_REVISION, {"view_id": view_id}).first()
    if row is None:
        raise UnknownExperiment(view_id)
    return 2 * (row.own + row.of_jobs + row.of_refreshes) + int(_silent(row.heartbeat_at, now))


def summaries(connection: Connection, owner: str | None, limit: int, now: float) -> list[ExperimentSummary]:
    """The newest experiments, of one owner or of all; cells of sweeps are listed as these."""
    query = select(experiments).where(experiments.c.origin != "sweep")
    query = query.order_by(experiments.c.created_at.desc(), experiments.c.id).limit(limit)
    if owner is not None:
        query = query.where(experiments.c.owner == owner)
    rows = connection.execute(query).all()
    attached = _attached(connection, [row.id for row in rows])
    return [summary(row, attached[row.id], now) for row in rows]


def summary(row: Row, attached: Sequence[Job], now: float) -> ExperimentSummary:
    """One line of a list, of an experiment's row and its jobs."""
    return ExperimentSummary(
        id=row.id,
        title=row.title,
        owner=row.owner,
        created_at=row.created_at,
        state=derived_state(row.wants, attached, now),
        step=sum(job.step for job in attached),
        total=sum(job.total for job in attached),
    )


def identity_of(connection: Connection, job_id: int) -> str:
    """What a job's weights are kept under (see ``records.identity``)."""
    row = connection.execute(select(jobs.c.spec, jobs.c.arm, jobs.c.seeds).where(jobs.c.id == job_id)).one()
    return identity(row.spec, row.arm, tuple(json.loads(row.seeds)))


def live_jobs(connection: Connection, owner: str | None = None, limit: int | None = None) -> list[Job]:
    """The jobs of an owner, or of all, that run, wait or are paused, the running ones first."""
    condition: ColumnElement[bool] = jobs.c.state.in_(LIVE)
    if owner is not None:
        condition &= jobs.c.owner == owner
    order = (jobs.c.state != "running", jobs.c.state != "queued", jobs.c.queued_at)
    return jobs_where(connection, condition, *order, limit=limit)


def job(connection: Connection, job_id: int) -> Job | None:
    """One job, if it exists."""
    return next(iter(jobs_where(connection, jobs.c.id == job_id)), None)


def jobs_where(
    connection: Connection,
    condition: ColumnElement[bool],
    *order: ColumnElement[Any],
    limit: int | None = None,
) -> list[Job]:
    """The jobs of a condition, and of equal ones in an order the oldest first; not more than ``limit``."""
    query = select(jobs, literal_column("0").label("cached")).where(condition).order_by(*order, jobs.c.id)
    query = query.limit(limit)
    return [_job(row._mapping) for row in connection.execute(query)]


def has_queued(connection: Connection) -> bool:
    """Whether a job waits for a slot."""
    return connection.execute(select(jobs.c.id).where(jobs.c.state == "queued").limit(1)).first() is not None


def finished_among(connection: Connection, job_ids: Iterable[int]) -> set[int]:
    """Those of the given jobs that have ended, or do not exist: nobody needs their checkpoints."""
    asked = set(job_ids)
    for some in batches(asked):
        query = select(jobs.c.id).where(jobs.c.id.in_(some), jobs.c.state.not_in(FINAL))
        asked.difference_update(connection.execute(query).scalars())
    return asked


def all_workers(connection: Connection) -> list[Worker]:
    """The engines that take jobs from this store."""
    return [
        Worker(**row._mapping) for row in connection.execute(select(workers).order_by(workers.c.started_at))
    ]


def _attached(connection: Connection, view_ids: Sequence[str]) -> dict[str, list[Job]]:
    query = (
        select(jobs, experiment_jobs.c.experiment_id, experiment_jobs.c.cached)
        .join(experiment_jobs, experiment_jobs.c.job_id == jobs.c.id)
        .where(experiment_jobs.c.experiment_id.in_(view_ids))
        .order_by(jobs.c.id)
    )
    attached: dict[str, list[Job]] = {view_id: [] for view_id in view_ids}
    for row in connection.execute(query):
        attached[row.experiment_id].append(_job(row._mapping))
    return attached


def _results(connection: Connection, view_id: str) -> list[Result]:
    query = (
        select(experiment_results.c.arm, results.c.seed, results.c.job_id, results.c.position)
        .join(results, results.c.id == experiment_results.c.result_id)
        .where(experiment_results.c.experiment_id == view_id)
        .order_by(experiment_results.c.arm, results.c.seed)
    )
    return [Result(**row._mapping) for row in connection.execute(query)]


def _job(row: Any) -> Job:
    names = set(Job.__dataclass_fields__) - {"seeds", "cached"}
    values = {name: row[name] for name in names}
    return Job(**values, seeds=tuple(json.loads(row["seeds"])), cached=bool(row["cached"]))


def result_key(connection: Connection, job_id: int) -> str:
    """The key of the first seed of a training job."""
    query = select(results.c.key).where(results.c.job_id == job_id).order_by(results.c.position).limit(1)
    return connection.execute(query).scalar_one()
