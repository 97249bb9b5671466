"""Brings a database to the current schema, or refuses it with a sentence. One step a version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, inspect, select, update

from dropviz.store import schema
from dropviz.store.records import StoreError

if TYPE_CHECKING:
    from dropviz.store.database import Database

VERSION = 4

CLASSES_AS_THEY_WERE = """
CREATE TABLE classes (
    id TEXT NOT NULL PRIMARY KEY, definition TEXT NOT NULL, title TEXT NOT NULL, owner TEXT NOT NULL, created_at FLOAT NOT NULL
)"""


def _kinds_of_jobs(connection: Connection) -> None:
    """2: jobs of several kinds, and the seconds that each spent on what."""
    columns = (
        "kind TEXT DEFAULT 'train' NOT NULL",
        "cost_key TEXT",
        "weights_of INTEGER REFERENCES jobs (id)",
        "weights_step INTEGER",
        "training_seconds FLOAT DEFAULT '0' NOT NULL",
        "evaluation_seconds FLOAT DEFAULT '0' NOT NULL",
        "statistics_seconds FLOAT DEFAULT '0' NOT NULL",
    )
    for column in columns:
        connection.exec_driver_sql(f"ALTER TABLE jobs ADD COLUMN {column}")
    connection.exec_driver_sql("CREATE INDEX jobs_by_cost ON jobs (cost_key)")
    connection.exec_driver_sql("CREATE INDEX jobs_by_weights ON jobs (weights_of)")


def _runs_that_are_found_again(connection: Connection) -> None:
    """3: what people say of experiments and where these came from; sweeps and classes."""
    columns = (
        "origin TEXT DEFAULT 'lab' NOT NULL",
        "name TEXT DEFAULT '' NOT NULL",
        "note TEXT DEFAULT '' NOT NULL",
        "tags TEXT DEFAULT '[]' NOT NULL",
        "pinned BOOLEAN DEFAULT '0' NOT NULL",
        "shared BOOLEAN DEFAULT '0' NOT NULL",
        "deleted_at FLOAT",
        "class_id TEXT REFERENCES classes (id)",
    )
    for column in columns:
        connection.exec_driver_sql(f"ALTER TABLE experiments ADD COLUMN {column}")
    connection.exec_driver_sql("CREATE INDEX ix_experiments_class_id ON experiments (class_id)")
    connection.exec_driver_sql(CLASSES_AS_THEY_WERE)
    connection.exec_driver_sql("CREATE INDEX ix_classes_owner ON classes (owner)")
    for table in (schema.sweeps, schema.sweep_cells, schema.class_members):
        table.create(connection)


def _closing(connection: Connection) -> None:
    """4: a class can be closed."""
    connection.exec_driver_sql("ALTER TABLE classes ADD COLUMN closed_at FLOAT")


# MIGRATIONS[n] takes a database from version n to n + 1. A new database is created at VERSION at once. Those up to version 4
# are of SQLite alone: there was no other one. Every later one has to work on PostgreSQL, too; CONTRIBUTING says how.
MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {
    1: _kinds_of_jobs,
    2: _runs_that_are_found_again,
    3: _closing,
}


def migrate(connection: Connection, database: Database) -> None:
    """Create or upgrade the schema, inside the caller's write transaction.

    Raises:
        StoreError: The database belongs to another program, or to a newer version of this one.
    """
    found = version(connection, database)
    if found == 0:
        schema.metadata.create_all(connection)
        database.mark(connection)
        connection.execute(insert(schema.schema_version).values(version=VERSION))
        connection.execute(insert(schema.queue).values(revision=0))
        return
    for step in range(found, VERSION):
        MIGRATIONS[step](connection)
    if found < VERSION:
        connection.execute(update(schema.schema_version).values(version=VERSION))


def is_current(connection: Connection, database: Database) -> bool:
    """Whether there is nothing to create or upgrade.

    Raises:
        StoreError: The database belongs to another program, or to a newer version of this one.
    """
    return version(connection, database) == VERSION


def version(connection: Connection, database: Database) -> int:
    """The schema version of a database, 0 for an empty one.

    Raises:
        StoreError: The database belongs to another program, or to a newer version of this one.
    """
    ours = database.is_marked(connection)
    if ours is None:
        return 0
    if not ours or not inspect(connection).has_table("schema_version"):
        raise StoreError(f"{database.place} is a database of another program: {database.elsewhere}.")
    found = connection.execute(select(schema.schema_version.c.version)).scalar()
    if not isinstance(found, int) or found < 1:
        raise StoreError(
            f"{database.place} says nothing of its version: move it away, and a new one is created."
        )
    if found > VERSION:
        raise StoreError(
            f"{database.place} was written by a newer DropViz (schema {found}, this one knows {VERSION}): update DropViz, "
            f"or {database.elsewhere}."
        )
    return found
