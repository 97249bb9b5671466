"""Sweeps in the store: a definition, and an experiment for each of its cells. What is computed already is joined, as always."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from dropviz import settings
from dropviz.budget import Budget
from dropviz.experiment import result_keys
from dropviz.store import jobs as moves
from dropviz.store import limits, submission
from dropviz.store.batches import batches
from dropviz.store.database import Database
from dropviz.store.reading import derived_state
from dropviz.store.records import FINAL, LIVE, ExperimentState
from dropviz.store.schema import experiment_jobs, experiments, jobs, results, sweep_cells, sweeps
from dropviz.sweeps import Sweep
from dropviz.sweeps.order import in_order

TOGETHER = 25  # cells that are submitted in one transaction: others may write in between


class UnknownSweep(ValueError):
    """There is no sweep with this id."""

    def __init__(self, sweep_id: str) -> None:
        super().__init__(f"There is no sweep {sweep_id[:40]!r}: check the link, or start it again.")


class DeletedSweep(UnknownSweep):
    """Its owner threw it away: for everybody else it is gone, and the owner can take it back."""

    def __init__(self, owner: str) -> None:
        ValueError.__init__(self, "This sweep was deleted. Whoever started it can take it back at this link.")
        self.owner = owner


@dataclass(frozen=True, kw_only=True)
class SweepRow:
    """A sweep as it is kept: what it asks for as JSON, and whose it is."""

    id: str
    definition: str
    title: str
    owner: str
    created_at: float
    deleted: bool

    @property
    def sweep(self) -> Sweep:
        """What it asks for.

        Raises:
            SpecError: Another version of this program wrote it, and this one cannot run it.
        """
        return Sweep.from_text(self.definition)


@dataclass(frozen=True, kw_only=True)
class CellState:
    """How far one cell is.

    Attributes:
        position: Its place in ``Sweep.cells()``.
        experiment: The experiment of this cell.
        state: Of this experiment.
        done: Jobs that have ended well.
        jobs: All of them.
        cached: Whether all had been computed before.
        step, total: Updates that are done, and all.
        error: Of the first job that failed, with its arm.
    """

    position: int
    experiment: str
    state: ExperimentState
    done: int
    jobs: int
    cached: bool
    step: int
    total: int
    error: str = ""

    @property
    def live(self) -> bool:
        """Whether anything of it runs, waits or is paused."""
        return self.state not in FINAL


class Sweeps:
    """The sweeps of one store; each method is a transaction, or a few."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def submit(self, sweep: Sweep, owner: str = "") -> str:
        """Start a sweep and return its id. Its cells are queued so that a coarse picture of all is there first.

        Raises:
            QueueFull: It may be more than may wait here, or comes too fast.
        """
        sweep_id = secrets.token_hex(16)
        row = {"id": sweep_id, "definition": sweep.canonical(), "title": sweep.title(), "owner": owner}
        places = in_order(sweep, range(len(sweep.cells())))
        more = self._jobs(sweep, places, owner)
        with self.database.write() as connection:
            now = self.database.now()
            limits.check_pace(connection, owner, now)
            limits.check_queue(connection, owner, more)
            connection.execute(insert(sweeps).values(row | {"created_at": now}))
        try:
            self._fill(sweep_id, sweep, owner, places, now)
        except limits.QueueFull:  # others queued something meanwhile, perhaps in another tab
            self.delete(sweep_id)
            raise
        return sweep_id

    def get(self, sweep_id: str, *, deleted: bool = False) -> SweepRow:
        """A sweep.

        Args:
            sweep_id: Which one.
            deleted: Also one that was thrown away.

        Raises:
            UnknownSweep: There is none of this id.
            DeletedSweep: Its owner threw it away.
        """
        with self.database.read() as connection:
            found = _row(connection, sweep_id)
        if found.deleted and not deleted:
            raise DeletedSweep(found.owner)
        return found

    def of(self, owner: str, limit: int = 50) -> list[SweepRow]:
        """An owner's newest sweeps that are not deleted."""
        query = select(sweeps).where(sweeps.c.owner == owner, sweeps.c.deleted_at.is_(None))
        with self.database.read() as connection:
            found = connection.execute(query.order_by(sweeps.c.created_at.desc(), sweeps.c.id).limit(limit))
            return [_record(row) for row in found]

    def under_way(self, owner: str) -> list[SweepRow]:
        """An owner's sweeps of which something runs or waits, the newest first."""
        live = (
            select(sweep_cells.c.sweep_id)
            .select_from(sweep_cells.join(experiments).join(experiment_jobs).join(jobs))
            .where(experiments.c.owner == owner, experiments.c.wants != "stop", jobs.c.state.in_(LIVE))
        )
        query = select(sweeps).where(sweeps.c.owner == owner, sweeps.c.id.in_(live))
        with self.database.read() as connection:
            found = connection.execute(query.order_by(sweeps.c.created_at.desc(), sweeps.c.id))
            return [_record(row) for row in found]

    def states(self, sweep_id: str) -> list[CellState]:
        """How far each cell is, in order of the cells; one that was never queued is left out."""
        with self.database.read() as connection:
            return list(_states(connection, sweep_id, self.database.now()))

    def revision(self, sweep_id: str) -> tuple[int, ...]:
        """Changes whenever ``states`` does; cheap to ask."""
        own = func.coalesce(func.sum(experiments.c.revision), 0)
        of_jobs = func.coalesce(func.sum(jobs.c.revision), 0)
        cells = func.count(func.distinct(sweep_cells.c.experiment_id))
        newest = func.coalesce(func.max(experiments.c.created_at), 0)
        which = func.coalesce(func.sum(jobs.c.id), 0)  # grows whenever cells are queued anew
        with self.database.read() as connection:
            found = connection.execute(_joined(sweep_id, own, of_jobs, cells, newest, which)).one()
            return tuple(found)

    def stop(self, sweep_id: str) -> None:
        """End what runs or waits; what was computed is kept.

        Raises:
            UnknownSweep: There is none of this id.
        """
        with self.database.write() as connection:
            _row(connection, sweep_id)
            _stop(connection, sweep_id, self.database.now())

    def resume(self, sweep_id: str, states: Collection[str] = ("stopped",)) -> None:
        """Ask anew for the cells in these states, and for those that were never queued; the sweep keeps its id.

        Raises:
            UnknownSweep: There is none of this id, or it was deleted.
            SpecError: This version of the program cannot run it.
            QueueFull: It may be more than may wait here, or comes too fast.
        """
        kept = self.get(sweep_id)
        found = {cell.position: cell.state for cell in self.states(sweep_id)}
        count = len(kept.sweep.cells())
        missing = [place for place in range(count) if place not in found or found[place] in states]
        places = in_order(kept.sweep, missing)
        more, now = self._jobs(kept.sweep, places, kept.owner), self.database.now()
        with self.database.read() as connection:
            limits.check_pace(connection, kept.owner, now)
            limits.check_queue(connection, kept.owner, more)
        try:
            self._fill(sweep_id, kept.sweep, kept.owner, places, now)
        except limits.QueueFull:
            self.stop(sweep_id)
            raise

    def watch(self, sweep_id: str) -> None:
        """Say that somebody watches a sweep which is to stop when nobody does any more: a command line's."""
        mine = select(sweep_cells.c.experiment_id).where(sweep_cells.c.sweep_id == sweep_id)
        with self.database.write(durable=False) as connection:
            connection.execute(
                update(experiments).where(experiments.c.id.in_(mine)).values(watched_at=self.database.now())
            )

    def delete(self, sweep_id: str) -> None:
        """Stop a sweep and take it out of its owner's list; ``restore`` brings it back.

        Raises:
            UnknownSweep: There is none of this id.
        """
        with self.database.write() as connection:
            _row(connection, sweep_id)
            _stop(connection, sweep_id, self.database.now())
            _mark(connection, sweep_id, self.database.now())

    def restore(self, sweep_id: str) -> None:
        """Take a deletion back; what was computed is there again.

        Raises:
            UnknownSweep: There is none of this id.
        """
        with self.database.write() as connection:
            _row(connection, sweep_id)
            _mark(connection, sweep_id, None)

    def missing(self, sweep: Sweep) -> list[dict[str, list[int]]]:
        """Of each cell: arm → the seeds that nobody has computed yet; those that are under way count as missing."""
        device, cells = settings.device_class(), sweep.cells()
        keys = [
            {arm: result_keys(spec, arm, spec.seed_list(), device) for arm in spec.arms}
            for spec in map(submission.pinned, cells)
        ]
        there = self._done({key for cell in keys for found in cell.values() for key in found.values()})
        return [
            {arm: [seed for seed, key in found.items() if key not in there] for arm, found in cell.items()}
            for cell in keys
        ]

    def _jobs(self, sweep: Sweep, places: Sequence[int], owner: str) -> int:
        """How many jobs these cells add to the queue, in this order; counted no further than until they are refused."""
        if owner in limits.UNLIMITED:
            return 0
        most, cells = Budget.from_environment().queued, sweep.cells()
        count, taken = 0, set[str]()
        for place in places:
            request = submission.prepare(cells[place], owner, "sweep")
            with self.database.read() as connection:
                blocks = submission.new_blocks(connection, request, taken)
            taken.update(request.all_keys())
            count += sum(map(len, blocks.values()))
            if count > most:
                break
        return count

    def _done(self, keys: set[str]) -> set[str]:
        query = (
            select(results.c.key)
            .join(jobs, jobs.c.id == results.c.job_id)
            .where(jobs.c.state == "done", results.c.reusable)
        )
        found = set[str]()
        with self.database.read() as connection:
            for some in batches(keys):
                found |= set(connection.execute(query.where(results.c.key.in_(some))).scalars())
        return found

    def _fill(self, sweep_id: str, sweep: Sweep, owner: str, places: Sequence[int], now: float) -> None:
        """Queue an experiment for each of these cells, in place of the one before; all have one moment, by which they count.

        Raises:
            QueueFull: It is more than may wait here; the parts before are queued.
        """
        cells = sweep.cells()
        for start in range(0, len(places), TOGETHER):
            part = {
                place: submission.prepare(cells[place], owner, "sweep")
                for place in places[start : start + TOGETHER]
            }
            with self.database.write() as connection:
                self._submit(connection, sweep_id, part, now)

    def _submit(
        self, connection: Connection, sweep_id: str, part: dict[int, submission.Request], now: float
    ) -> None:
        mine = (sweep_cells.c.sweep_id == sweep_id) & sweep_cells.c.position.in_(part)
        former = select(sweep_cells.c.experiment_id).where(mine)
        connection.execute(update(experiments).where(experiments.c.id.in_(former)).values(deleted_at=now))
        connection.execute(delete(sweep_cells).where(mine))
        rows = [
            {
                "sweep_id": sweep_id,
                "position": place,
                "experiment_id": submission.submit(connection, one, now),
            }
            for place, one in part.items()
        ]
        connection.execute(insert(sweep_cells), rows)


def _row(connection: Connection, sweep_id: str) -> SweepRow:
    found = connection.execute(select(sweeps).where(sweeps.c.id == sweep_id)).first()
    if found is None:
        raise UnknownSweep(sweep_id)
    return _record(found)


def _record(row: Row) -> SweepRow:
    return SweepRow(
        id=row.id,
        definition=row.definition,
        title=row.title,
        owner=row.owner,
        created_at=row.created_at,
        deleted=row.deleted_at is not None,
    )


def _joined(sweep_id: str, *columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(sweep_cells.join(experiments).join(experiment_jobs).join(jobs))
        .where(sweep_cells.c.sweep_id == sweep_id)
    )


def _states(connection: Connection, sweep_id: str, now: float) -> Iterator[CellState]:
    columns = [jobs.c[name] for name in ("arm", "state", "wants", "step", "total", "error")]
    columns += [jobs.c.heartbeat_at, jobs.c.steps_per_second]
    query = _joined(
        sweep_id,
        sweep_cells.c.position,
        sweep_cells.c.experiment_id,
        experiments.c.wants.label("wanted"),
        experiment_jobs.c.cached,
        *columns,
    )
    rows = connection.execute(query.order_by(sweep_cells.c.position, jobs.c.id)).all()
    for _, found in groupby(rows, key=lambda row: row.position):
        cell = list(found)
        failed = [f"{row.arm}: {row.error}" for row in cell if row.state == "failed"]
        yield CellState(
            position=cell[0].position,
            experiment=cell[0].experiment_id,
            state=derived_state(cell[0].wanted, cell, now),
            done=sum(row.state == "done" for row in cell),
            jobs=len(cell),
            cached=all(row.cached for row in cell),
            step=sum(row.total if row.state in FINAL else row.step for row in cell),
            total=sum(row.total for row in cell),
            error=next(iter(failed), ""),
        )


def _stop(connection: Connection, sweep_id: str, now: float) -> None:
    """End those of its experiments that still want something, all at once."""
    mine = select(sweep_cells.c.experiment_id).where(sweep_cells.c.sweep_id == sweep_id)
    live = (
        _joined(sweep_id, jobs.c.id).where(experiments.c.wants != "stop", jobs.c.state.in_(LIVE)).distinct()
    )
    affected = list(connection.execute(live).scalars())
    unfinished = select(experiment_jobs.c.experiment_id).where(experiment_jobs.c.job_id.in_(affected))
    values = {"wants": "stop", "revision": experiments.c.revision + 1}
    chosen = experiments.c.id.in_(mine) & experiments.c.id.in_(unfinished)
    connection.execute(update(experiments).where(chosen).values(values))
    moves.settle_wants(connection, affected, now)
    moves.touch_queue(connection)


def _mark(connection: Connection, sweep_id: str, deleted_at: float | None) -> None:
    """Delete a sweep with its experiments, but for those that somebody pinned; or take that back."""
    mine = select(sweep_cells.c.experiment_id).where(sweep_cells.c.sweep_id == sweep_id)
    chosen = experiments.c.id.in_(mine) & ~experiments.c.pinned
    connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(deleted_at=deleted_at))
    connection.execute(update(experiments).where(chosen).values(deleted_at=deleted_at))
