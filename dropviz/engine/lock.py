"""Who serves a store on this machine: a lock on a file that the kernel gives back however its holder ends.

An engine on SQLite holds it alone: it is the store's only one. Engines on PostgreSQL share it: they only tell who starts one when
it is needed that this machine has one already.
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


class EngineRunning(ValueError):
    """Another engine serves this store."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(
            f"An engine serves {path.with_suffix('.db')} already (process {pid or 'unknown'}): use that one."
        )


def acquire() -> int:
    """Take the lock and keep it until this process ends; returns its descriptor.

    Raises:
        EngineRunning: Another process has it, and the store takes one engine alone.
    """
    path, kind = _path(), fcntl.LOCK_EX if _takes_one() else fcntl.LOCK_SH
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + PROBE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                os.close(descriptor)
                raise EngineRunning(path, pid) from None
            time.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def engine_runs() -> bool:
    """Whether some process of this machine serves this store."""
    try:
        descriptor = os.open(_path(), os.O_RDONLY)
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


def _takes_one() -> bool:
    return settings.store_url().startswith(SQLITE)


def _path() -> Path:
    """Beside a SQLite file; else in the data directory, which other machines may use, too, and other stores."""
    url = settings.store_url()
    if _takes_one():
        return Path(url.removeprefix(SQLITE)).absolute().with_suffix(".lock")
    name = hashlib.sha256(url.encode()).hexdigest()[:8]
    return settings.data_dir() / f"engine-{socket.gethostname()}-{name}.lock"
