"""``dropviz backup``: everything of a store that cannot be computed or fetched again, as one tar file, while it is served."""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from dropviz import __version__, settings
from dropviz.commands.upkeep.archive import DATABASE, FORMAT, MANIFEST, NAME, Manifest, folders
from dropviz.store.copying import copy_database, schema_of
from dropviz.store.parts import Parts, files_below

POSTGRESQL = (
    "The store is a PostgreSQL database, which is backed up by its own tools, together with the files in {folder}: docs/clusters.md"
    " has the commands, and their order, under 'Backup and restore on PostgreSQL'."
)


def backup(path: Path) -> int:
    """Write a backup and say what is in it.

    Returns:
        The exit code, 0.

    Raises:
        ValueError: There is nothing to back up, or the file cannot be written.
    """
    parts = _parts()
    if not path.absolute().parent.is_dir():
        raise ValueError(
            f"{path.absolute().parent} is not a directory: make it first, or name another place."
        )
    try:
        with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.name}.") as folder:
            manifest = write(parts, Path(folder) / "backup.tar", Path(folder) / DATABASE)
            (Path(folder) / "backup.tar").replace(path)
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be written ({error}): name another place.") from None
    print(f"Written: {path} ({path.stat().st_size:,} bytes, {len(manifest.files):,} files).")
    print("Data sets that were fetched are not in it: they can be fetched again.")
    return 0


def _parts() -> Parts:
    url = settings.store_url()
    if not url.startswith("sqlite:///"):
        raise ValueError(POSTGRESQL.format(folder=settings.data_dir()))
    parts = Parts.of_settings()
    if schema_of(parts.database) is None:
        raise ValueError(
            f"There is no store at {parts.database}: set DROPVIZ_DATA to the directory that has it."
        )
    return parts


def write(parts: Parts, path: Path, copy: Path) -> Manifest:
    """Write the archive: checkpoints, then one moment of the database, then what that refers to.

    In this order a checkpoint is never ahead of the points in the database, so that runs go on from it.

    Args:
        parts: What is backed up.
        path: The archive, readable by its user alone: the secret of links is in it.
        copy: Where the copy of the database may lie meanwhile.
    """
    files: dict[str, tuple[int, str]] = {}
    path.touch(0o600)
    with path.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, found in _below("checkpoints", parts.checkpoints):
            _add(tar, name, found, files)
        copy_database(parts.database, copy)
        _add(tar, DATABASE, copy, files)
        jobs = _jobs(copy)
        for name, found in _below("weights", parts.weights):
            if int(name.split("/")[1]) in jobs:
                _add(tar, name, found, files)
        for first in ("uploads", "handed-in", "replication"):
            for name, found in _below(first, folders(parts)[first]):
                _add(tar, name, found, files)
        if parts.secret.exists():
            _add(tar, "dropviz.secret", parts.secret, files)
        manifest = Manifest(
            format=FORMAT,
            version=__version__,
            schema=schema_of(copy) or 0,
            created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            files=files,
        )
        _add_bytes(tar, MANIFEST, manifest.to_json())
    with path.open("rb") as written:
        os.fsync(written.fileno())
    return manifest


def _below(first: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of a folder that belong into a backup; drafts of files that are just being written do not."""
    for path, _ in files_below(folder):
        name = f"{first}/{path.relative_to(folder).as_posix()}"
        if NAME.fullmatch(name):
            yield name, path


def _jobs(database: Path) -> set[int]:
    with closing(sqlite3.connect(database)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM jobs")}


def _add(tar: tarfile.TarFile, name: str, path: Path, files: dict[str, tuple[int, str]]) -> None:
    """Add a file as it is when it is opened; one that is gone by then, since its job ended, is left out."""
    try:
        content = path.open("rb")
    except FileNotFoundError:
        return
    with content:
        hashed = _Hashed(content)
        member = tarfile.TarInfo(name)
        member.size, member.mtime = os.fstat(content.fileno()).st_size, int(time.time())
        tar.addfile(member, hashed)
        files[name] = member.size, hashed.digest.hexdigest()


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


class _Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, file: io.BufferedReader) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        content = self.file.read(size)
        self.digest.update(content)
        return content
