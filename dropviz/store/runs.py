"""Runs as people find them again. What people say of theirs, which are shared, and which were thrown away."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, update

from dropviz.choices import shown
from dropviz.experiment.difference import short_name
from dropviz.store.database import Database
from dropviz.store.reading import Attached, derived_state
from dropviz.store.records import LIVE, ExperimentState, Origin, UnknownExperiment
from dropviz.store.schema import experiment_jobs, experiments, jobs, sweep_cells

MOST_LISTED = 2000  # of one visitor's runs, the newest, and as many that others share
MOST_SHARED = 100  # runs of one person
LONGEST = {"name": 120, "note": 4000, "tag": 40}  # characters
MOST_TAGS = 12
SAME = ("id", "title", "name", "note", "owner", "created_at", "origin")  # in a row and in a line
COLUMNS = (*SAME, "spec", "wants", "tags", "pinned", "shared", "deleted_at")


class NotYours(ValueError):
    """Somebody else started this run."""

    def __init__(self) -> None:
        super().__init__(
            "Only the browser that started this run can change it: press Run in the Lab to have it as your own."
        )


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A line of a list of runs. ``table`` is the spec as it was written, perhaps by another version of this program."""

    id: str
    title: str
    name: str
    note: str
    tags: tuple[str, ...]
    pinned: bool
    shared: bool
    deleted: bool
    origin: Origin
    owner: str
    created_at: float
    state: ExperimentState
    table: Mapping[str, Any]
    usual_name: str

    @property
    def shown_name(self) -> str:
        """What its owner calls it, else what is unusual about it."""
        return self.name or self.usual_name


class Runs:
    """The experiments that somebody may see in a list; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def listing(self, visitor: str, *, deleted: bool = False) -> list[Listed]:
        """A visitor's own runs, however many are shared, and those that are, the newest first, without the cells of sweeps.

        Args:
            visitor: Who looks.
            deleted: The visitor's own that were thrown away, instead.
        """
        mine, kept = experiments.c.owner == visitor, experiments.c.deleted_at.is_(None)
        alone = experiments.c.id.not_in(select(sweep_cells.c.experiment_id))
        with self.database.read() as connection:
            now = self.database.now()
            if deleted:
                return _lines(connection, mine & ~kept & alone, now)
            own = _lines(connection, mine & kept & alone, now)
            others = _lines(connection, ~mine & experiments.c.shared & kept & alone, now)
        return sorted([*own, *others], key=lambda line: (-line.created_at, line.id))

    def lines(self, view_ids: Collection[str]) -> dict[str, Listed]:
        """The lines of these experiments, whoever started them; who has an id may look."""
        with self.database.read() as connection:
            found = _lines(connection, experiments.c.id.in_(view_ids), self.database.now())
        return {line.id: line for line in found}

    def describe(
        self,
        view_id: str,
        owner: str,
        *,
        name: str | None = None,
        note: str | None = None,
        tags: Iterable[str] | None = None,
        pinned: bool | None = None,
        shared: bool | None = None,
    ) -> None:
        """Say something of one's own run; what is None stays.

        Raises:
            UnknownExperiment: No experiment has this id.
            NotYours: Somebody else started it.
            ValueError: A text is too long, there are too many tags, or too many runs are shared.
        """
        said: dict[str, object] = {}
        said |= {} if name is None else {"name": _one_line("name", name)}
        said |= {} if note is None else {"note": _text("note", note)}
        said |= {} if tags is None else {"tags": json.dumps(_tags(tags), ensure_ascii=False)}
        said |= {} if pinned is None else {"pinned": pinned}
        said |= {} if shared is None else {"shared": shared}
        if said:
            with self.database.write() as connection:
                _own(connection, view_id, owner)
                if shared:
                    _check_shared(connection, view_id, owner)
                _change(connection, view_id, said)

    def delete(self, view_id: str, owner: str) -> None:
        """Take one's own run out of every list; nothing of it is lost, and ``restore`` takes it back.

        Raises:
            UnknownExperiment: No experiment has this id.
            NotYours: Somebody else started it.
            ValueError: It is still under way.
        """
        with self.database.write() as connection:
            _own(connection, view_id, owner)
            state = _states(connection, experiments.c.id == view_id).get(view_id, [])
            wants = connection.execute(
                select(experiments.c.wants).where(experiments.c.id == view_id)
            ).scalar_one()
            if derived_state(wants, state, self.database.now()) in (*LIVE, "stalled"):
                raise ValueError("This run is still under way: stop it in the Lab first.")
            _change(connection, view_id, {"deleted_at": self.database.now()})

    def restore(self, view_id: str, owner: str) -> bool:
        """Take a run back that was thrown away; for oneself alone where one shares too many others by now.

        Returns:
            Whether it is shared, or not, as before.

        Raises:
            UnknownExperiment: No experiment has this id.
            NotYours: Somebody else started it.
        """
        with self.database.write() as connection:
            _own(connection, view_id, owner)
            _change(connection, view_id, {"deleted_at": None})
            mine = select(experiments.c.shared).where(experiments.c.id == view_id)
            shared = connection.execute(mine).scalar_one()
            if shared and _shared(connection, view_id, owner) >= MOST_SHARED:
                _change(connection, view_id, {"shared": False})
                return False
            return True


def _own(connection: Connection, view_id: str, owner: str) -> None:
    found = connection.execute(select(experiments.c.owner).where(experiments.c.id == view_id)).scalar()
    if found is None:
        raise UnknownExperiment(view_id)
    if found != owner:
        raise NotYours


def _check_shared(connection: Connection, view_id: str, owner: str) -> None:
    """Let nobody fill everybody's list.

    Raises:
        ValueError: This person shares very many others.
    """
    if (count := _shared(connection, view_id, owner)) >= MOST_SHARED:
        raise ValueError(
            f"You share {count:,} runs, and one person may share {MOST_SHARED}: stop sharing one of them first."
        )


def _shared(connection: Connection, view_id: str, owner: str) -> int:
    """How many others a person shares."""
    others = (experiments.c.owner == owner) & experiments.c.shared & (experiments.c.id != view_id)
    query = select(func.count()).select_from(experiments).where(others, experiments.c.deleted_at.is_(None))
    return connection.execute(query).scalar_one()


def _change(connection: Connection, view_id: str, values: Mapping[str, object]) -> None:
    connection.execute(update(experiments).where(experiments.c.id == view_id).values(**values))


def _lines(connection: Connection, condition: ColumnElement[bool], now: float) -> list[Listed]:
    newest = experiments.c.created_at.desc(), experiments.c.id
    query: Select[Any] = select(*(experiments.c[name] for name in COLUMNS)).where(condition)
    rows = connection.execute(query.order_by(*newest).limit(MOST_LISTED)).all()
    listed = select(experiments.c.id).where(condition).order_by(*newest).limit(MOST_LISTED)
    states = _states(connection, experiments.c.id.in_(listed))
    return [_line(row, derived_state(row.wants, states.get(row.id, []), now)) for row in rows]


def _line(row: Row[Any], state: ExperimentState) -> Listed:
    table, usual_name = _read(row.spec)
    return Listed(
        **{name: row._mapping[name] for name in SAME},
        tags=tuple(json.loads(row.tags)),
        pinned=bool(row.pinned),
        shared=bool(row.shared),
        deleted=row.deleted_at is not None,
        state=state,
        table=table,
        usual_name=usual_name or row.title,
    )


def _states(connection: Connection, condition: ColumnElement[bool]) -> dict[str, list[Attached]]:
    """Experiment → the states that its jobs are in; of equal ones one stands for all, the one that was silent longest."""
    query = (
        select(
            experiment_jobs.c.experiment_id,
            jobs.c.state,
            jobs.c.wants,
            func.min(jobs.c.heartbeat_at),
            func.min(jobs.c.steps_per_second),
        )
        .join(jobs, jobs.c.id == experiment_jobs.c.job_id)
        .join(experiments, experiments.c.id == experiment_jobs.c.experiment_id)
        .where(condition)
        .group_by(experiment_jobs.c.experiment_id, jobs.c.state, jobs.c.wants)
    )
    found: dict[str, list[Attached]] = {}
    for view_id, *attached in connection.execute(query):
        found.setdefault(view_id, []).append(Attached(*attached))
    return found


@lru_cache(maxsize=2 * MOST_LISTED)
def _read(spec: str) -> tuple[Mapping[str, Any], str]:
    """A spec's table and the name that follows from it; none of one of another version that has no such settings."""
    table = json.loads(spec)
    try:
        return table, short_name(table)
    except (KeyError, TypeError):
        return table, ""


def _text(what: str, text: str) -> str:
    """The text, if it is short enough.

    Raises:
        ValueError: It is not.
    """
    text = "".join(one for one in text if one.isprintable() or one == "\n").strip()
    most = LONGEST[what]
    if len(text) > most:
        raise ValueError(f"The {what} {shown(text)} has {len(text):,} characters: write at most {most:,}.")
    return text


def _one_line(what: str, text: str) -> str:
    return " ".join(_text(what, text.replace("\n", " ")).split())


def _tags(tags: Iterable[str]) -> list[str]:
    """Each once, without the spaces around it, in order."""
    found = list(dict.fromkeys(text for tag in tags if (text := _one_line("tag", tag))))
    if len(found) > MOST_TAGS:
        raise ValueError(f"{len(found)} tags are too many: keep {MOST_TAGS} at most.")
    return found
