"""Small file systems that can be filled or made read-only; root's alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CHUNK = 2**16
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root mounts a small disk: run the tests as root"
)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory of so many MiB for the length of a block."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Fill a file system to its last byte; remove the file to make room again."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (CHUNK, 4096, 1):
            with suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    return path


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """A file system that is full for the length of a block."""
    path = fill(folder)
    try:
        yield
    finally:
        path.unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """A folder that even root cannot write to for the length of a block."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
