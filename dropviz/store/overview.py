"""The store as somebody who runs it sees it: how much there is of what, who waits, and what failed. No spec is read for any of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import func, select

from dropviz.store.database import Database
from dropviz.store.failures import reason
from dropviz.store.jobs import fairest_queued
from dropviz.store.reading import jobs_where, live_jobs, summary
from dropviz.store.records import LIVE, ExperimentSummary, Job, Kind, State
from dropviz.store.schema import experiment_jobs, experiments, jobs, results

MOST_LISTED = 200


@dataclass(frozen=True, kw_only=True)
class Share:
    """One owner's jobs in the queue; ``place`` is that of the first one that waits, 1 for the next of all."""

    owner: str
    running: int
    waiting: int
    paused: int
    place: int | None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much there is."""

    jobs: dict[tuple[Kind, State], int]
    failures: dict[str, int]  # by class of reason
    experiments: int
    results: int


class Overview:
    """Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def counts(self) -> Counts:
        """Jobs by kind and state, failures by class, experiments, results that can be joined."""
        kinds = select(jobs.c.kind, jobs.c.state, func.count()).group_by(jobs.c.kind, jobs.c.state)
        errors = select(jobs.c.error, func.count()).where(jobs.c.state == "failed").group_by(jobs.c.error)
        failures: Counter[str] = Counter()
        with self.database.read() as connection:
            found = {(kind, state): count for kind, state, count in connection.execute(kinds)}
            for error, count in connection.execute(errors):
                failures[reason(error or "")] += count
            return Counts(
                jobs=found,
                failures=dict(failures),
                experiments=connection.execute(select(func.count()).select_from(experiments)).scalar_one(),
                results=connection.execute(
                    select(func.count()).select_from(results).where(results.c.reusable)
                ).scalar_one(),
            )

    def steps_per_second(self) -> float:
        """Of all jobs that run."""
        query = select(func.coalesce(func.sum(jobs.c.steps_per_second), 0.0)).where(jobs.c.state == "running")
        with self.database.read() as connection:
            return connection.execute(query).scalar_one()

    def shares(self) -> list[Share]:
        """The owners whose jobs run, wait or are paused: first who is next by the fair order, last who only has paused ones."""
        query = select(jobs.c.owner, jobs.c.state, func.count()).where(jobs.c.state.in_(LIVE))
        with self.database.read() as connection:
            counts = {
                (owner, state): count
                for owner, state, count in connection.execute(query.group_by(jobs.c.owner, jobs.c.state))
            }
            order = fairest_queued(connection, self.database.now())
            waiting = select(jobs.c.id, jobs.c.owner).where(jobs.c.state == "queued")
            of = {row.id: row.owner for row in connection.execute(waiting)}
        place: dict[str, int] = {}
        for number, job in enumerate(order, 1):
            place.setdefault(of[job], number)
        shares = [
            Share(
                owner=owner,
                running=counts.get((owner, "running"), 0),
                waiting=counts.get((owner, "queued"), 0),
                paused=counts.get((owner, "paused"), 0),
                place=place.get(owner),
            )
            for owner in {owner for owner, _ in counts}
        ]
        return sorted(shares, key=lambda one: (one.place or 10**9, -one.running, one.owner))

    def places(self, owner: str) -> dict[int, int]:
        """An owner's waiting jobs → their place in the queue, 1 for the next of all."""
        with self.database.read() as connection:
            order = fairest_queued(connection, self.database.now())
            mine = select(jobs.c.id).where(jobs.c.state == "queued", jobs.c.owner == owner)
            own = set(connection.execute(mine).scalars())
        return {job: place for place, job in enumerate(order, 1) if job in own}

    def live_jobs(self, owner: str | None = None) -> list[Job]:
        """The jobs of an owner, or of all, that run, wait or are paused, the running ones first; at most ``MOST_LISTED``."""
        with self.database.read() as connection:
            return live_jobs(connection, owner, MOST_LISTED)

    def failures(self, owner: str | None = None, limit: int = 20) -> list[Job]:
        """The jobs of an owner, or of all, that failed last, the latest first."""
        condition = jobs.c.state == "failed"
        if owner is not None:
            condition &= jobs.c.owner == owner
        with self.database.read() as connection:
            return jobs_where(connection, condition, jobs.c.finished_at.desc(), limit=limit)

    def under_way(self) -> list[ExperimentSummary]:
        """Everybody's experiments that are under way, the oldest first; at most ``MOST_LISTED``."""
        live = (
            select(experiment_jobs.c.experiment_id)
            .join(jobs, jobs.c.id == experiment_jobs.c.job_id)
            .where(jobs.c.state.in_(LIVE))
        )
        query = (
            select(*(experiments.c[name] for name in ("id", "title", "owner", "created_at", "wants")))
            .where(experiments.c.id.in_(live), experiments.c.wants != "stop")
            .order_by(experiments.c.created_at, experiments.c.id)
            .limit(MOST_LISTED)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
            attached: dict[str, list[Job]] = {row.id: [] for row in rows}
            pairs = select(experiment_jobs.c.experiment_id, experiment_jobs.c.job_id)
            of = connection.execute(pairs.where(experiment_jobs.c.experiment_id.in_(attached))).all()
            found = {job.id: job for job in jobs_where(connection, jobs.c.id.in_({job for _, job in of}))}
        for view_id, job in of:
            attached[view_id].append(found[job])
        now = self.database.now()
        return [summary(row, attached[row.id], now) for row in rows]
