"""Who serves a store on this machine: a lock on a file that the kernel gives back however its holder ends.

An engine on SQLite holds it alone: it is the store's only one. Engines on PostgreSQL share it: they only tell who starts one when
it is needed that this machine has one already. Of several that are started so at the same moment one goes on.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import time
from pathlib import Path

from dropviz import settings

SQLITE = "sqlite:///"
PROBE_SECONDS = 1.0  # longer than anybody holds the lock just to look
PAUSE_SECONDS = 0.05


class EngineRunning(ValueError):
    """Another engine serves this store, or is about to."""

    def __init__(self, path: Path) -> None:
        if _takes_one():
            pid = path.read_text(errors="replace").strip()
            sentence = f"An engine serves {path.with_suffix('.db')} already (process {pid or 'unknown'})"
        else:
            sentence = "An engine of this machine serves this store already, or starts just now"
        super().__init__(f"{sentence}: use that one.")


def acquire(*, if_none: bool = False) -> int:
    """Take the lock and keep it until this process ends; returns its descriptor.

    Args:
        if_none: Only where this machine has no engine of the store, also if that takes several.

    Raises:
        EngineRunning: Another process has it, and the store takes one engine alone, or ``if_none``.
    """
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = _take_if_none(path) if if_none else _take(path)
    except BlockingIOError:
        raise EngineRunning(path) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _take(path: Path) -> int:
    return _locked(path, fcntl.LOCK_EX if _takes_one() else fcntl.LOCK_SH)


def _take_if_none(path: Path) -> int:
    """One after another: each looks whether there is one, and takes it, before the next one looks."""
    gate = _locked(path.with_suffix(".starting"), fcntl.LOCK_EX)
    try:
        deadline = time.monotonic() + PROBE_SECONDS
        while engine_runs():  # or somebody only looks
            if time.monotonic() > deadline:
                raise BlockingIOError
            time.sleep(PAUSE_SECONDS)
        return _take(path)
    finally:
        os.close(gate)


def _locked(path: Path, kind: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + PROBE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise
        time.sleep(PAUSE_SECONDS)


def engine_runs() -> bool:
    """Whether some process of this machine serves this store."""
    try:
        descriptor = _opened(_path())
    except FileNotFoundError:
        return False
    kind = fcntl.LOCK_SH if _takes_one() else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR)  # NFS gives a lock alone for what may be written
    except PermissionError:
        return os.open(path, os.O_RDONLY)


def _takes_one() -> bool:
    return settings.store_url().startswith(SQLITE)


def _path() -> Path:
    """Beside a SQLite file; else in the data directory, which other machines may use, too, and other stores."""
    url = settings.store_url()
    if _takes_one():
        return Path(url.removeprefix(SQLITE)).absolute().with_suffix(".lock")
    name = hashlib.sha256(url.encode()).hexdigest()[:8]
    return settings.data_dir() / f"engine-{socket.gethostname()}-{name}.lock"
