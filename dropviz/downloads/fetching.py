"""Fetching a file for good: one process at a time, resumed, retried, verified, and only then under its name."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from dropviz.downloads.remote import DownloadError, Progress, RemoteFile, cached, shown_size
from dropviz.downloads.transfer import DiskError, TransferError, on_disk, transfer


def unwatched(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def fetch(
    file: RemoteFile,
    folder: Path,
    *,
    progress: Progress = unwatched,
    timeout: float = 30.0,
    retries: int = 3,
    pause: float = 1.0,
) -> Path:
    """The path of a file in a folder, fetched if it is not there; a part that is there is completed.

    The bytes go to ``NAME.part``, which stays after a failure, so that the next call goes on from its end. Size
    and SHA-256 are checked before the part gets its name, which is atomic: under ``NAME`` there is the right
    file or none.

    Args:
        file: What to fetch.
        folder: Made if need be.
        progress: Called with (bytes that are here, bytes of the whole); what it raises ends the transfer.
        timeout: Seconds without a byte, while connecting or later, after which the server is given up.
        retries: How often to ask again after the connection broke.
        pause: Seconds to wait before each of these.

    Raises:
        DownloadError: It cannot be fetched or written, is not the expected file, or is being fetched by another
            process.
    """
    target = folder / file.name
    try:
        if not cached(file, folder):
            with _locked_part(file, folder) as part:
                if cached(file, folder):  # by another process, since we looked
                    os.unlink(part.name)
                else:
                    _complete(file, part, progress=progress, timeout=timeout, retries=retries, pause=pause)
                    _verify(file, part)
                    with on_disk():
                        os.replace(part.name, target)
    except DiskError as error:
        raise DownloadError(
            f"{file.name} cannot be written to {folder} ({error}): it takes {shown_size(file.size)}; make room, "
            "or name another folder in DROPVIZ_CACHE."
        ) from error
    progress(file.size, file.size)
    return target


def _complete(
    file: RemoteFile, part: FileIO, *, progress: Progress, timeout: float, retries: int, pause: float
) -> None:
    """Bring the part to the file's size."""
    while os.fstat(part.fileno()).st_size != file.size:
        try:
            transfer(file, part, timeout=timeout, progress=progress)
        except TransferError as error:
            if not (error.broken and retries):
                raise DownloadError(_sentence(file, str(error), part)) from error
            retries -= 1
            time.sleep(pause)


@contextmanager
def _locked_part(file: RemoteFile, folder: Path) -> Iterator[FileIO]:
    """``NAME.part``, open for appending, and nobody else's until the end; an empty one is not left behind."""
    path = folder / f"{file.name}.part"
    while True:
        with on_disk():
            folder.mkdir(parents=True, exist_ok=True)
            part = FileIO(path, "a+")
        with part:
            with on_disk():
                taken = not _lock(part)
            if taken:
                raise DownloadError(
                    f"{file.name} is being fetched by another process: wait until that one is done."
                )
            if not _is_at(part, path):  # its former owner renamed or removed it before we had the lock
                continue
            try:
                yield part
            except BaseException:
                if os.fstat(part.fileno()).st_size == 0 and _is_at(part, path):
                    path.unlink()
                raise
            return


def _lock(part: FileIO) -> bool:
    """Whether the lock is ours now; the kernel takes it back however we end."""
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(part: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(part.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _verify(file: RemoteFile, part: FileIO) -> None:
    """Compare the whole part with the hash; the wrong one is removed."""
    with on_disk():
        os.fsync(part.fileno())
        part.seek(0)
        found = hashlib.file_digest(part, "sha256").hexdigest()
    if found != file.sha256:
        os.unlink(part.name)
        raise DownloadError(
            f"{file.name} from {file.host} is not the expected file: its SHA-256 is {found}, expected is "
            f"{file.sha256}. It was removed; fetch it again, and if that does not help, the file has changed there."
        )


def _sentence(file: RemoteFile, happened: str, part: FileIO) -> str:
    size = os.fstat(part.fileno()).st_size
    came = f"{shown_size(size)} of {shown_size(file.size)} came: fetch it again to go on from there"
    return f"{file.name} was not fetched: {happened}; {came if size else 'check the connection, or fetch it again later'}."
