"""Who prunes a store: one process at a time, by a lock that is given back however its holder ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from dropviz.store.database import Database
from dropviz.store.database.postgresql import PostgreSQL

LOCK = 0x44567A32  # an advisory lock of the database, with the schema that the tables are in
PLACE = f"{LOCK}, hashtext(current_schema())"


@contextmanager
def pruning(database: Database) -> Iterator[bool]:
    """Prune within; what it gives says whether nobody else does at the moment."""
    with _on_server(database) if isinstance(database, PostgreSQL) else _beside(database) as alone:
        yield alone


@contextmanager
def _on_server(database: PostgreSQL) -> Iterator[bool]:
    """The lock is a session's, and outlives its transactions: so this is a connection of its own, in none."""
    with database._guarded():
        connection = database.engine.connect().execution_options(begin=("SELECT 1",))
    with connection:
        with database._guarded():
            connection.detach()
            alone = connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({PLACE})").scalar_one()
        yield alone
        if alone:
            with database._guarded():
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({PLACE})")


@contextmanager
def _beside(database: Database) -> Iterator[bool]:
    """A SQLite file's one engine prunes, and so may a command."""
    path = database.beside(".prune.lock")
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
