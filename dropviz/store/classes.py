"""Classes: who has which seat, what members may start, and whose results there are to pool. Each method is one transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from sys import intern
from typing import Any, cast

from sqlalchemy import Connection, Row, func, insert, select, update

from dropviz.choices import SpecError
from dropviz.classes import ID_LENGTH as ID
from dropviz.classes import ClassDefinition, Purpose, is_of, link_code, new_id, server_secret, typed
from dropviz.experiment import ExperimentSpec
from dropviz.store import limits, submission
from dropviz.store.batches import batches
from dropviz.store.database import Database
from dropviz.store.records import LIVE, State
from dropviz.store.schema import class_members as members
from dropviz.store.schema import classes, experiment_jobs, experiment_results, experiments, jobs, results

MOST_MEMBERS = 1000


class UnknownClass(ValueError):
    """A link that this server did not give out."""

    def __init__(self) -> None:
        super().__init__(
            "This is no link to a class on this server: check it, or ask your teacher for it again."
        )


class ClassRefusal(ValueError):
    """What a class does not allow at the moment; the message is for its members."""


@dataclass(frozen=True, kw_only=True)
class Classroom:
    """A class as it is now; ``joined`` counts its members."""

    id: str
    definition: ClassDefinition
    owner: str
    created_at: float
    closed_at: float | None
    joined: int

    def ended(self, now: float) -> str:
        """Why nobody joins or runs any more, as a sentence; empty while they do."""
        if self.closed_at is not None:
            return "This class is closed: nothing new can be run in it; its results stay."
        expires_at = self.definition.expires_at
        if expires_at is not None and now >= expires_at:
            when = time.strftime("%d %B %Y, %H:%M", time.localtime(expires_at)).lstrip("0")
            return f"This class ended on {when}: nothing new can be run in it; its results stay."
        return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassJob:
    """A job that an experiment of a class is attached to."""

    experiment_id: str
    job_id: int
    arm: str
    state: State


class Classes:
    """The classes of a store; the secret that signs their links lies beside the database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._secret_path: Path = database.beside(".secret")

    # For teachers

    def create(self, definition: ClassDefinition, owner: str) -> Classroom:
        """Set up a class.

        Raises:
            QueueFull: This person has too many, or sets them up too fast.
        """
        row: dict[str, object] = {"definition": definition.canonical(), "title": definition.title}
        row |= {"owner": owner, "created_at": self.database.now()}
        with self.database.write() as connection:
            limits.check_pace(connection, owner, self.database.now())
            limits.check_classes(connection, owner)
            class_id = new_id()
            while connection.execute(select(classes.c.id).where(classes.c.id == class_id)).first():
                class_id = new_id()
            connection.execute(insert(classes).values(id=class_id, **row))
            return _classroom(connection, class_id)

    def of(self, owner: str | None = None) -> list[Classroom]:
        """Somebody's classes, or all, the newest first."""
        query = select(classes.c.id).order_by(classes.c.created_at.desc(), classes.c.id)
        if owner is not None:
            query = query.where(classes.c.owner == owner)
        found = []
        with self.database.read() as connection:
            for class_id in connection.execute(query).scalars().all():
                with suppress(SpecError):  # of another version of this program
                    found.append(_classroom(connection, class_id))
        return found

    def close(self, class_id: str, *, closed: bool = True) -> None:
        """Let nobody join or run any more, or again."""
        with self.database.write() as connection:
            values = {"closed_at": self.database.now() if closed else None}
            connection.execute(update(classes).where(classes.c.id == class_id).values(values))

    def take_over(self, code: str, visitor: str) -> Classroom:
        """Make somebody who has the teacher's link the teacher.

        Raises:
            UnknownClass: This is no teacher's link.
        """
        found = self.by_code(code, "teach")
        with self.database.write() as connection:
            connection.execute(update(classes).where(classes.c.id == found.id).values(owner=visitor))
            return _classroom(connection, found.id)

    # Links

    def code(self, classroom: Classroom, purpose: Purpose = "join") -> str:
        """What the link to a class carries: the students', or the teacher's."""
        secret = server_secret(self._secret_path)
        return link_code(secret, purpose, classroom.id, classroom.definition.canonical())

    def by_code(self, code: str, purpose: Purpose = "join") -> Classroom:
        """The class that a link is of.

        Raises:
            UnknownClass: There is none, or the link was not given out here for this purpose.
        """
        asked = typed(code)
        if not asked.isascii():
            raise UnknownClass
        with self.database.read() as connection:
            row = _row(connection, asked[:ID])
            if row is None or not is_of(
                code, server_secret(self._secret_path), purpose, row.id, row.definition
            ):
                raise UnknownClass
            return _classroom(connection, row.id)

    # For members

    def seat(self, class_id: str, visitor: str) -> int | None:
        """The seat that a member has, counted from 0."""
        with self.database.read() as connection:
            return _seat(connection, class_id, visitor)

    def join(self, class_id: str, visitor: str) -> int:
        """The seat of a member, the next free one of somebody new; nobody else ever gets it.

        Raises:
            ClassRefusal: The class is over, or full.
        """
        seat = self.seat(class_id, visitor)
        if seat is not None:
            return seat
        with self.database.write() as connection:
            seat = _seat(connection, class_id, visitor)  # again, now that nobody else writes
            if seat is not None:
                return seat
            classroom = _open(connection, class_id, self.database.now())
            if classroom.joined >= MOST_MEMBERS:
                raise ClassRefusal(f"This class is full: it has {MOST_MEMBERS:,} members.")
            last = select(func.coalesce(func.max(members.c.seat), -1)).where(members.c.class_id == class_id)
            seat = connection.execute(last).scalar_one() + 1
            row = {"class_id": class_id, "visitor": visitor, "seat": seat, "joined_at": self.database.now()}
            connection.execute(insert(members).values(row))
            return seat

    def submit(self, class_id: str, visitor: str, spec: ExperimentSpec) -> str:
        """Start a member's experiment with the seeds of their seat; returns the view id.

        Raises:
            SpecError: The spec differs where the class is locked.
            ClassRefusal: The class is over, or this member has a run under way.
        """
        seat = self.join(class_id, visitor)
        with self.database.read() as connection:
            definition = _open(connection, class_id, self.database.now()).definition
        definition.check(spec)
        request = submission.prepare(definition.dealt(spec, seat), visitor, "class", class_id)
        with self.database.write() as connection:
            _open(connection, class_id, self.database.now())
            if _busy(connection, class_id, visitor):
                raise ClassRefusal(
                    "You have a run under way in this class: wait until it is done, or stop it, and press Run again."
                )
            return submission.submit(connection, request, self.database.now())

    # What there is to pool

    def classroom(self, class_id: str) -> Classroom:
        """A class as it is now.

        Raises:
            UnknownClass: There is none of this id.
        """
        with self.database.read() as connection:
            return _classroom(connection, class_id)

    def jobs(self, class_id: str) -> list[ClassJob]:
        """The jobs of all experiments of a class that nobody deleted."""
        query = (
            select(experiments.c.id, jobs.c.id.label("job_id"), jobs.c.arm, jobs.c.state)
            .select_from(experiments.join(experiment_jobs).join(jobs))
            .where(experiments.c.class_id == class_id, experiments.c.deleted_at.is_(None))
            .order_by(experiments.c.created_at, experiments.c.id, jobs.c.id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        # a class has thousands, read anew at each look: they share their words
        return [
            ClassJob(experiment_id=intern(one), job_id=job, arm=intern(arm), state=cast(State, intern(state)))
            for one, job, arm, state in rows
        ]

    def specs(self, experiment_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Experiment → its spec as a table."""
        query = select(experiments.c.id, experiments.c.spec)
        found: dict[str, dict[str, Any]] = {}
        with self.database.read() as connection:
            for some in batches(experiment_ids):
                rows = connection.execute(query.where(experiments.c.id.in_(some)))
                found |= {intern(row.id): json.loads(row.spec) for row in rows}
        return found

    def places(self, job: ClassJob) -> list[tuple[str, int, int]]:
        """(arm, seed, position in the job's points) of what an experiment takes from one of its jobs, by seed."""
        query = (
            select(experiment_results.c.arm, results.c.seed, results.c.position)
            .join(results, results.c.id == experiment_results.c.result_id)
            .where(experiment_results.c.experiment_id == job.experiment_id, results.c.job_id == job.job_id)
            .order_by(results.c.seed)
        )
        with self.database.read() as connection:
            return [(arm, seed, position) for arm, seed, position in connection.execute(query)]


def _row(connection: Connection, class_id: str) -> Row | None:
    return connection.execute(select(classes).where(classes.c.id == class_id)).first()


def _classroom(connection: Connection, class_id: str) -> Classroom:
    row = _row(connection, class_id)
    if row is None:
        raise UnknownClass
    count = select(func.count()).select_from(members).where(members.c.class_id == class_id)
    return Classroom(
        id=row.id,
        definition=_definition(row.definition),
        owner=row.owner,
        created_at=row.created_at,
        closed_at=row.closed_at,
        joined=connection.execute(count).scalar_one(),
    )


@lru_cache(maxsize=64)
def _definition(text: str) -> ClassDefinition:
    return ClassDefinition.from_table(json.loads(text))


def _open(connection: Connection, class_id: str, now: float) -> Classroom:
    classroom = _classroom(connection, class_id)
    if reason := classroom.ended(now):
        raise ClassRefusal(reason)
    return classroom


def _seat(connection: Connection, class_id: str, visitor: str) -> int | None:
    query = select(members.c.seat).where(members.c.class_id == class_id, members.c.visitor == visitor)
    return connection.execute(query).scalar()


def _busy(connection: Connection, class_id: str, visitor: str) -> bool:
    query = (
        select(jobs.c.id)
        .select_from(experiments.join(experiment_jobs).join(jobs))
        .where(experiments.c.class_id == class_id, experiments.c.owner == visitor)
        .where(experiments.c.wants != "stop", jobs.c.state.in_(LIVE))
    )
    return connection.execute(query.limit(1)).first() is not None
