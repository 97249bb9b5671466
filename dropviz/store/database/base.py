"""What the store asks of a database, whichever it is."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine, event, exc

from dropviz.store.records import StoreError

FULL = "The server's disk is full, so nothing can be recorded. What runs waits, and goes on by itself when there is space."
READ_ONLY = "The server's disk cannot be written, so nothing can be recorded. What runs waits, and goes on by itself afterwards."
SPARE_BYTES = 2**20  # a disk with less than this counts as full


class Database(ABC):
    """Read and write transactions on one database; safe to share between threads.

    Attributes:
        engine: SQLAlchemy's, with its pool of connections.
        place: What the database is called in messages; without a password.
        elsewhere: What to do to have another one.
        one_engine: Whether one engine at most may serve it; otherwise several on several machines.
        patience: Seconds for which one may stand still in the middle of a change.
    """

    engine: Engine
    place: str
    elsewhere: ClassVar[str]
    one_engine: ClassVar[bool]
    patience: ClassVar[float]

    @abstractmethod
    def read(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one moment of the database and never waits for writers."""

    @abstractmethod
    def write(self, *, durable: bool = True, alone: bool = True) -> AbstractContextManager[Connection]:
        """A transaction that changes something.

        Args:
            durable: Survives a power cut (state changes). Points need not: they only survive a killed process.
            alone: From its first moment no other writer is at work that is alone, too. One that is not may meet others: it
                has to lock the row of the job that it writes for.
        """

    @abstractmethod
    def now(self) -> float:
        """Seconds since 1970 by the clock that all who use this database share."""

    @abstractmethod
    def beside(self, ending: str) -> Path:
        """A place for files that belong to this database and to no other one, such as ``dropviz.weights`` beside ``dropviz.db``."""

    @abstractmethod
    def is_marked(self, connection: Connection) -> bool | None:
        """Whether it is ours, as ``mark`` says; None where it is empty and nobody's yet."""

    @abstractmethod
    def mark(self, connection: Connection) -> None:
        """Say of new tables that they are ours."""

    def trouble(self) -> str:
        """Why nothing can be recorded at the moment, in a sentence for visitors; empty where nothing is known to be wrong."""
        try:
            disk = os.statvfs(self._folder())
        except OSError:
            return READ_ONLY
        if disk.f_flag & os.ST_RDONLY:
            return READ_ONLY
        return FULL if disk.f_bavail * disk.f_frsize < SPARE_BYTES else ""

    @abstractmethod
    def _folder(self) -> Path:
        """Where its own files are, or those that belong to it."""

    @abstractmethod
    def holders(self) -> AbstractSet[Hashable]:
        """Who keeps some or all others from writing at the moment: the same value for as long as one may be standing still."""

    @abstractmethod
    def end(self, holder: Any, kill: Callable[[int], bool]) -> str:
        """Make one of the holders let go.

        Args:
            holder: From ``holders``.
            kill: Kills a process of this machine if it is one's own to kill, and says whether it was.

        Returns:
            Who it is and what is done, for the log; empty if they went on meanwhile.
        """

    @abstractmethod
    def _sentence(self, error: exc.DatabaseError) -> str | None:
        """What is wrong and what to do, of an error that is the database's; None where it is the caller's."""

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what is wrong with the database into one sentence."""
        try:
            yield
        except exc.DatabaseError as error:
            if sentence := self._sentence(error):
                raise StoreError(sentence, self.trouble()) from error
            raise


def begin_as_told(engine: Engine, default: tuple[str, ...]) -> None:
    """Begin each transaction with the statements of the option ``begin``; the driver must not begin any itself."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        for statement in connection.get_execution_options().get("begin", default):
            connection.exec_driver_sql(statement)
