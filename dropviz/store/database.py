"""One SQLite file in WAL mode: connections, the two kinds of transaction, and refusing what is not ours."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url

from dropviz.store.migrations import migrate
from dropviz.store.records import StoreError

BUSY_SECONDS = 15
VERIFIED_BYTES = 16 * 2**20  # a file up to this size is checked whole when it is opened: some 30 ms


class Database:
    """Read and write transactions on one SQLite file.

    Args:
        url: ``sqlite:///PATH`` or a path.
        verify: Check the file's integrity first; a child that the engine started need not.

    Raises:
        StoreError: The file is corrupt, foreign, from a newer version, or in a place that cannot be written.
    """

    def __init__(self, url: str | Path, *, verify: bool = True) -> None:
        self.url = _sqlite_url(url)
        self.path = Path(str(self.url.database))
        self.engine = _engine(self.url)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare(verify)
        except OSError as error:
            raise StoreError(f"{self.path.parent} cannot be used ({error}): set DROPVIZ_DATA.") from None
        except exc.DatabaseError as error:
            raise StoreError(self._sentence(error)) from None
        except StoreError:
            self.engine.dispose()
            raise

    def _prepare(self, verify: bool) -> None:
        if verify and self.path.exists() and 0 < self.path.stat().st_size <= VERIFIED_BYTES:
            with self.engine.connect() as connection:
                if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok":
                    raise StoreError(self._corrupt())
        with self.write() as connection:  # a real write: some file systems refuse only then
            migrate(connection, str(self.path))
        if self._use_write_ahead_log() != "wal":
            raise StoreError(f"{self.path} is not on a local disk that takes WAL: set DROPVIZ_DATA to one.")

    def _use_write_ahead_log(self) -> str:
        """Switch the file to WAL, which it stays; returns the mode it is in."""
        connection = self.engine.raw_connection()
        deadline = time.monotonic() + BUSY_SECONDS
        try:
            while True:  # sqlite does not wait by itself for the lock that the first switch needs
                try:
                    return connection.cursor().execute("PRAGMA journal_mode = WAL").fetchone()[0]
                except sqlite3.OperationalError as error:
                    if "locked" not in str(error) or time.monotonic() > deadline:
                        raise StoreError(f"{self.path} cannot be used ({error}): set DROPVIZ_DATA.") from None
                time.sleep(0.01)
        finally:
            connection.close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the database and never waits for writers."""
        with self._transaction(begin="BEGIN", synchronous="NORMAL") as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """A transaction that holds the write lock from its first moment.

        Args:
            durable: Survives a power cut (state changes). Points need not: they only survive a killed process.
        """
        with self._transaction(
            begin="BEGIN IMMEDIATE", synchronous="FULL" if durable else "NORMAL"
        ) as connection:
            yield connection

    @contextmanager
    def _transaction(self, **options: str) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except exc.DatabaseError as error:
            if _is_damage(error) or isinstance(error, exc.OperationalError):
                raise StoreError(self._sentence(error)) from error
            raise

    def _sentence(self, error: exc.DatabaseError) -> str:
        if _is_damage(error):
            return self._corrupt()
        return f"{self.path} cannot be used ({error.orig}): check the disk, or set DROPVIZ_DATA."

    def _corrupt(self) -> str:
        return f"{self.path} is not a readable database: move it away, and a new one is created."


def _is_damage(error: exc.DatabaseError) -> bool:
    text = str(error.orig)
    return "not a database" in text or "malformed" in text


def _sqlite_url(url: str | Path) -> URL:
    if isinstance(url, Path) or "://" not in url:
        return URL.create("sqlite", database=str(Path(url).absolute()))
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise StoreError(f"{url!r} is not a SQLite file: write sqlite:///PATH.")
    return parsed


def _engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, max_overflow=32)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions; the hook below does
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        connection.exec_driver_sql(f"PRAGMA synchronous = {options.get('synchronous', 'FULL')}")
        connection.exec_driver_sql(options.get("begin", "BEGIN"))

    return engine
