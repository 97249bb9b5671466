"""One engine a store: a lock on a file that the kernel gives back however its holder ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from dropviz import settings

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
        EngineRunning: Another process has it.
    """
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + PROBE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
    """Whether some process serves this store."""
    try:
        descriptor = os.open(_path(), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def _path() -> Path:
    return settings.beside_store(".lock")
