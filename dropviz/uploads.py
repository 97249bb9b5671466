"""Files that a person hands in: kept in the data directory under their hash, or read below a mounted folder.

A knob names such a file in one of two ways: by the SHA-256 of an uploaded one, as ``keep`` returns it, or by its path
below the folder that ``$DROPVIZ_FILES`` names. No name leads out of those two folders. What a file holds is the
business of the data set that reads it.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from dropviz import settings
from dropviz.choices import SpecError, shown

Kind = Literal["text", "csv"]
MOST_BYTES_TOGETHER = 500_000_000  # of all uploads: the disk is the store's, too
MOST_BYTES: dict[Kind, int] = {"text": 5_000_000, "csv": 5_000_000}
NOTICED_SECONDS = 3600.0  # of uses within it the first is noted
DRAFT = "part-"  # what is being written


def folder() -> Path:
    """Where uploaded files are kept, each one named by the SHA-256 of what it holds."""
    return settings.data_dir() / "uploads"


def keep(content: bytes, kind: Kind) -> str:
    """Keep what was uploaded and return its SHA-256 in hex; the same content is kept once.

    Raises:
        SpecError: It is empty or larger than a file of this kind may be.
    """
    _check_size(len(content), kind, "the uploaded file")
    digest = hashlib.sha256(content).hexdigest()
    folder().mkdir(parents=True, exist_ok=True)
    if not (folder() / digest).exists():
        _check_room(len(content))
    handle, temporary = tempfile.mkstemp(dir=folder(), prefix=DRAFT)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(folder() / digest)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return digest


def is_kept(content: bytes) -> bool:
    """Whether the same was handed in before."""
    return (folder() / hashlib.sha256(content).hexdigest()).is_file()


def is_upload(file: str) -> bool:
    """Whether this names an uploaded file, and not a path."""
    return re.fullmatch(r"[0-9a-f]{64}", file) is not None


def path_of(file: str) -> Path:
    """The path of an uploaded file, given its SHA-256, or of a file below ``$DROPVIZ_FILES``, given its path there.

    Raises:
        SpecError: There is no such file, or the path leads out of the folder.
    """
    if not file:
        raise SpecError("No file is chosen: upload one, or name one below the folder of DROPVIZ_FILES.")
    if is_upload(file):
        path = folder() / file
        if not path.is_file():
            raise SpecError(f"The upload {file[:12]}… is not on this machine: upload that file again.")
        _note_use(path)
        return path
    mounted = settings.files_dir()
    if mounted is None:
        raise SpecError(
            f"{shown(file)} is not an uploaded file and no folder of files is mounted: upload it, or set DROPVIZ_FILES."
        )
    try:
        path = (mounted / file).resolve()
        inside = path.is_relative_to(mounted.resolve())
        there = inside and path.is_file()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, links in a circle
        inside, there = True, False
    if not inside:
        raise SpecError(f"{shown(file)} leads out of DROPVIZ_FILES: name a file below that folder.")
    if not there:
        raise SpecError(f"{shown(file)} is not a file below DROPVIZ_FILES: choose one that is there.")
    return path


def read(file: str, kind: Kind) -> bytes:
    """What the named file holds; see ``path_of`` for the two ways to name one.

    Raises:
        SpecError: There is no such file, it cannot be read, or it is empty, too large, or damaged since its upload.
    """
    path = path_of(file)
    try:
        with path.open("rb") as opened:
            _check_size(os.fstat(opened.fileno()).st_size, kind, shown(file))
            content = opened.read(MOST_BYTES[kind] + 1)
        _check_size(len(content), kind, shown(file))  # again: one of a mounted folder may grow meanwhile
    except OSError as error:
        raise SpecError(f"{shown(file)} cannot be read ({error.strerror}): choose another file.") from None
    if path.parent == folder() and hashlib.sha256(content).hexdigest() != file:
        raise SpecError(f"The upload {file[:12]}… is damaged on disk: upload that file again.")
    return content


def _check_room(size: int) -> None:
    taken = sum(status.st_size for _, status in _files())
    if taken + size > MOST_BYTES_TOGETHER:
        raise SpecError(
            f"The files that were handed in take {taken / 1e6:,.0f} MB, of {MOST_BYTES_TOGETHER / 1e6:,.0f} MB that there are:"
            " whoever runs this server has to remove some, by dropviz prune."
        )


def _check_size(size: int, kind: Kind, name: str) -> None:
    if not size:
        raise SpecError(f"{name[:1].upper()}{name[1:]} is empty: choose one with content.")
    if size > MOST_BYTES[kind]:
        most = MOST_BYTES[kind] // 1_000_000
        raise SpecError(
            f"{name[:1].upper()}{name[1:]} has {size:,} bytes, and a {kind} file may have {most} MB: cut it down."
        )


def unused(since: float) -> dict[str, int]:
    """File → bytes of those that were last used before a time, in seconds since 1970; what a write that broke off left, too."""
    return {
        path.name: status.st_size
        for path, status in _files()
        if status.st_mtime < since and (is_upload(path.name) or path.name.startswith(DRAFT))
    }


def remove(file: str, since: float) -> None:
    """Delete an uploaded file, unless somebody used it after this time, or hands it in at this moment."""
    path, gone = folder() / file, folder() / f"{DRAFT}{os.getpid()}-{file[:12]}"
    with suppress(FileNotFoundError):
        path.replace(gone)  # what takes its place from here on is another file
        if gone.stat().st_mtime < since:
            gone.unlink()
        else:
            gone.replace(path)


def _note_use(path: Path) -> None:
    with suppress(OSError):  # of a folder that may only be read, from which nothing is deleted
        if time.time() - path.stat().st_mtime > NOTICED_SECONDS:
            os.utime(path)


def _files() -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder().iterdir() if folder().is_dir() else ():
        with suppress(FileNotFoundError):
            if path.is_file():
                yield path, path.stat()
