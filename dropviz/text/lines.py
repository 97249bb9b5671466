"""Lines of texts that are read as a stream: out of a file, or out of an archive that is never unpacked."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path


def file_lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 file; only the line feed ends one."""
    with path.open(encoding="utf-8", newline="\n") as file:
        yield from file


def member_lines(archive: Path, member: str) -> Iterator[str]:
    """Lines of a UTF-8 file in a zip archive, decompressed as they are read; only the line feed ends one."""
    with (
        zipfile.ZipFile(archive) as opened,
        opened.open(member) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file,
    ):
        yield from file
