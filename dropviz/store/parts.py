"""What belongs to a store besides its database: files in folders of its own, and what each of them takes of the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from dropviz import settings
from dropviz.store.database import Database
from dropviz.store.database.sqlite import SQLite


@dataclass(frozen=True)
class Parts:
    """Where the parts of a store are.

    Attributes:
        database: The SQLite file, its log and shared memory beside it; with PostgreSQL a name at which no file is.
        server: The database that is on a server instead.
    """

    database: Path
    server: Database | None = None

    @classmethod
    def of(cls, database: Database) -> Parts:
        """Of an open store."""
        if isinstance(database, SQLite):
            return cls(database.path.absolute())
        return cls(database.beside(".db"), database)

    @classmethod
    def of_settings(cls) -> Parts:
        """Of the SQLite file that the settings name, whether it is there or not."""
        return cls(Path(settings.store_url().removeprefix("sqlite:///")).absolute())

    @property
    def weights(self) -> Path:
        """A folder a job, a file a step."""
        return self.database.with_suffix(".weights")

    @property
    def checkpoints(self) -> Path:
        """A file a job that is under way."""
        return self.database.with_suffix(".checkpoints")

    @property
    def secret(self) -> Path:
        """What signs the links of classes."""
        return self.database.with_suffix(".secret")

    @property
    def uploads(self) -> Path:
        """What people handed in."""
        return settings.data_dir() / "uploads"

    @property
    def handed_in(self) -> Path:
        """Marks of who did."""
        return settings.data_dir() / "handed-in"

    @property
    def replication(self) -> Path:
        """Results of ``dropviz replicate``."""
        return settings.data_dir() / "replication"

    @property
    def database_files(self) -> list[Path]:
        """The database with its log and shared memory, as far as they are there."""
        names = (self.database.name + ending for ending in ("", "-wal", "-shm"))
        return [path for name in names if (path := self.database.with_name(name)).exists()]

    def sizes(self) -> dict[str, int]:
        """Bytes by part. It asks for every file, so it takes a second where there are hundreds of thousands."""
        return {
            "database": self._database_bytes(),
            "weights": size_of(self.weights),
            "checkpoints": size_of(self.checkpoints),
            "uploads": size_of(self.uploads),
            "datasets": size_of(settings.cache_dir()),
        }

    def _database_bytes(self) -> int:
        """With all that deletions left free; on a server of the whole database, whatever else is in it."""
        if self.server is None:
            return sum(path.stat().st_size for path in self.database_files)
        with self.server.read() as connection:
            return connection.execute(select(func.pg_database_size(func.current_database()))).scalar_one()


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; what vanishes meanwhile does not count."""
    return sum(size for _, size in files_below(folder))


def files_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Each regular file below a folder, with its bytes; no links."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from files_below(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path), entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
