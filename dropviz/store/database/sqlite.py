"""One SQLite file in WAL mode: what one machine uses."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, inspect

from dropviz.store.copying import keep_former
from dropviz.store.database.base import Database, begin_as_told
from dropviz.store.migrations import migrate
from dropviz.store.records import LEASE_SECONDS, StoreError

APPLICATION_ID = 0x44567A31  # "DVz1", in the file's header: tells our databases from anybody else's
BUSY_SECONDS = 15
CACHE_KILOBYTES = 256  # a connection, and a page has five or more; what it lacks is in the kernel's cache
WRITE_LOCK = 120  # the byte of the -shm file that the only writer has locked, by the description of the WAL-index format
VERIFIED_BYTES = 16 * 2**20  # a file up to this size is checked whole when it is opened: some 30 ms


class SQLite(Database):
    """See ``open_database``. Whoever writes is alone: the file has one lock."""

    elsewhere = "set DROPVIZ_DATA to another directory"
    one_engine = True
    patience = LEASE_SECONDS  # as long as a child may be silent

    def __init__(self, url: URL, *, verify: bool) -> None:
        self.path = Path(str(url.database))
        self.place = str(self.path)
        self.engine = _engine(url)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare(verify)
        except OSError as error:
            raise StoreError(f"{self.path.parent} cannot be used ({error}): set DROPVIZ_DATA.") from None
        except exc.DatabaseError as error:
            raise StoreError(self._sentence(error) or self._unusable(error), self.trouble()) from None
        except StoreError:
            self.engine.dispose()
            raise

    def _prepare(self, verify: bool) -> None:
        if verify and self.path.exists() and 0 < self.path.stat().st_size <= VERIFIED_BYTES:
            with self.engine.connect() as connection:
                if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok":
                    raise StoreError(self._corrupt())
        keep_former(self.path)
        with self.write() as connection:  # a real write: some file systems refuse only then
            migrate(connection, self)
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
        """See the base."""
        with self._transaction("BEGIN", synchronous="NORMAL") as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True, alone: bool = True) -> Iterator[Connection]:
        """See the base."""
        with self._transaction("BEGIN IMMEDIATE", synchronous="FULL" if durable else "NORMAL") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str, synchronous: str) -> Iterator[Connection]:
        statements = (f"PRAGMA synchronous = {synchronous}", begin)
        with (
            self._guarded(),
            self.engine.connect().execution_options(begin=statements) as connection,
            connection.begin(),
        ):
            yield connection

    def now(self) -> float:
        """This machine's clock."""
        return time.time()

    def beside(self, ending: str) -> Path:
        """See the base."""
        return self.path.absolute().with_suffix(ending)

    def is_marked(self, connection: Connection) -> bool | None:
        """By the number in the file's header."""
        found = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        if found == 0 and not inspect(connection).get_table_names():
            return None
        return found == APPLICATION_ID

    def mark(self, connection: Connection) -> None:
        """See the base."""
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")

    def _sentence(self, error: exc.DatabaseError) -> str | None:
        text = str(error.orig)
        if "not a database" in text or "malformed" in text:
            return self._corrupt()
        return self._unusable(error) if isinstance(error, exc.OperationalError) else None

    def _folder(self) -> Path:
        return self.path.parent

    def holders(self) -> set[int]:
        """The process that writes, or is about to."""
        writer = self._writer()
        return set() if writer is None else {writer}

    def end(self, holder: int, kill: Callable[[int], bool]) -> str:
        """By killing it; SQLite asks nobody whether they are still there."""
        return "a training process, which is killed" if kill(holder) else f"process {holder}"

    def _writer(self) -> int | None:
        """By Linux's list of locks; to open the file and ask would give up the locks that this process has."""
        try:
            inode = Path(f"{self.path}-shm").stat().st_ino
            locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        except OSError:
            return None
        for _, *lock in locks:
            if len(lock) == 7 and lock[0] == "POSIX" and lock[2] == "WRITE" and lock[4].endswith(f":{inode}"):
                start, end = lock[5:]
                if int(start) <= WRITE_LOCK and (end == "EOF" or int(end) >= WRITE_LOCK):
                    return int(lock[3])
        return None

    def _unusable(self, error: exc.DatabaseError) -> str:
        reason = str(error.orig)
        if "disk is full" in reason:
            return f"The disk of {self.path} is full: make room; what runs waits for it."
        if "readonly" in reason:
            return f"{self.path} cannot be written: make its disk writable."
        if "locked" in reason and (holder := self._writer()):
            return f"{self.path} is held by process {holder}, which does not let go: let it go on if it was stopped, or end it."
        return f"{self.path} cannot be used ({error.orig}): check the disk, or set DROPVIZ_DATA."

    def _corrupt(self) -> str:
        return (
            f"{self.path} is not a readable database: move it away while nothing serves it, and a new one is created; or put a"
            " backup in its place."
        )


def _engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, max_overflow=32)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")

    begin_as_told(engine, ("PRAGMA synchronous = FULL", "BEGIN"))
    return engine
