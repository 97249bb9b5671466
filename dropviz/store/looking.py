"""A look at a store that leaves it as it is: opening it would bring its schema to this version, or make one where none is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Column, Integer, MetaData, Table, exc, update

from dropviz.store.database import _parsed, open_database
from dropviz.store.database.postgresql import PostgreSQL
from dropviz.store.database.sqlite import SQLite
from dropviz.store.migrations import VERSION, version
from dropviz.store.records import StoreError
from dropviz.store.schema import schema_version


class _File(SQLite):
    schema: int

    def _prepare(self, verify: bool) -> None:
        with self.read() as connection:
            self.schema = version(connection, self)


class _Server(PostgreSQL):
    schema: int

    def _prepare(self) -> None:
        with self.read() as connection:
            self.schema = version(connection, self)
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if self.schema == VERSION or encoding != "UTF8":
            super()._prepare()  # which upgrades nothing, or refuses it


class _TakenBack(Exception):
    pass


@contextmanager
def looking(url: str) -> Iterator[_File | _Server | None]:
    """A database as it is, with its ``schema``: 0 where it is empty; None where there is no file.

    Raises:
        StoreError: It is of another program, of a newer version, damaged, or cannot be reached.
    """
    database = _opened(_parsed(url))
    try:
        yield database
    finally:
        if database is not None:
            database.engine.dispose()


def _opened(url: URL) -> _File | _Server | None:
    if not url.database:
        open_database(url.render_as_string(hide_password=False))  # which refuses it
    if not url.drivername.startswith("sqlite"):
        return _Server(url)
    path = Path(str(url.database))
    return _File(url, verify=False) if path.exists() and path.stat().st_size > 0 else None


def schema(url: str) -> int:
    """The schema version of a store; 0 where there is none.

    Raises:
        StoreError: See ``looking``.
    """
    with looking(url) as database:
        return database.schema if database is not None else 0


def try_writing(database: _File | _Server) -> None:
    """Write something and take it back.

    Raises:
        StoreError: That is not possible.
    """
    try:
        with database.write() as connection:
            if database.schema:
                same = {"version": schema_version.c.version}
                connection.execute(update(schema_version).values(same))
            else:
                Table("dropviz_probe", MetaData(), Column("x", Integer)).create(connection)
            raise _TakenBack
    except _TakenBack:
        return
    except exc.DatabaseError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise StoreError(f"{database.place} cannot be written to ({reason})") from None
