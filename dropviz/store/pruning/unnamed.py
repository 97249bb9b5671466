"""Uploaded files that nothing names any more: no experiment, sweep, class or job under way in the store, and no lesson of a teacher's own."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator

from sqlalchemy import Connection, select

from dropviz import settings, uploads
from dropviz.downloads import shown_size
from dropviz.store.database import Database
from dropviz.store.parts import Parts
from dropviz.store.records import LIVE
from dropviz.store.schema import classes, experiments, jobs, sweeps

UNUSED_SECONDS = 86400.0  # somebody may have handed it in and not have pressed Run yet
DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
ENDINGS = (".db", ".weights", ".checkpoints", ".secret")  # what tells that a store is there
ROWS = 500  # that are fetched together


def find(database: Database, going: Collection[str] = ()) -> tuple[dict[str, int], tuple[str, ...]]:
    """What may go.

    Args:
        database: Of the store.
        going: Experiments and sweeps that are deleted first, and so name nothing.

    Returns:
        File → bytes of those that nobody used for a day; and sentences about what stays although nothing names it.
    """
    unused = uploads.unused(time.time() - UNUSED_SECONDS)
    if not unused:
        return {}, ()
    with database.read() as connection:
        named = _named(connection, going)
    found = {file: size for file, size in unused.items() if file not in named}
    if found and (others := _others(database)):
        return {}, (
            f"{shown_size(sum(found.values()))} of uploaded files stay, which this store does not name: {', '.join(others)} in"
            f" {settings.data_dir()} may be of another store that does; move it away if it is not.",
        )
    return found, ()


def remove(database: Database, files: Collection[str]) -> None:
    """Delete those that still nothing names, and that nobody used meanwhile; nobody can begin to name one before that is over."""
    if not files:
        return
    with database.write() as connection:
        named = _named(connection)
        for file in set(files) - named:
            uploads.remove(file, time.time() - UNUSED_SECONDS)


def _named(connection: Connection, going: Collection[str] = ()) -> set[str]:
    """Every digest in what says what is computed, of whatever it is."""
    found = set(_of_lessons())
    queries = [
        select(experiments.c.id, experiments.c.spec),
        select(sweeps.c.id, sweeps.c.definition),
        select(classes.c.id, classes.c.definition),
        select(jobs.c.id, jobs.c.spec).where(jobs.c.state.in_(LIVE)),
    ]
    for query in queries:
        for place, text in connection.execute(query.execution_options(yield_per=ROWS)):
            if place not in going:
                found.update(DIGEST.findall(text))
    return found


def _of_lessons() -> Iterator[str]:
    folder = settings.lessons_dir()
    for path in folder.rglob("*.md") if folder is not None else ():
        yield from DIGEST.findall(path.read_text("utf-8", errors="replace"))


def _others(database: Database) -> list[str]:
    """What lies in the data directory and is of no part of this store: another one names files there, too."""
    own, folder = Parts.of(database).database.resolve(), settings.data_dir().resolve()
    mine = own.stem if own.parent == folder else None
    return sorted(path.name for path in folder.iterdir() if path.suffix in ENDINGS and path.stem != mine)
