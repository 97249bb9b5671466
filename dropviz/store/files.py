"""Files beside the database: each is there whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes, writer: object, *, durable: bool = True) -> None:
    """Create or replace a file; a crash at any moment leaves the former one or the new one.

    Args:
        path: The file; its folder is made.
        content: All of it.
        writer: Tells those apart who may write it at the same time.
        durable: Survives a power cut; what need not only survives a killed process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{writer}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:  # half a file is of no use, and a full disk needs its space
        with suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
