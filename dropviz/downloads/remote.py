"""A file on a server, known in advance by its size and SHA-256."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

Progress = Callable[[int, int], None]  # (bytes that are here, bytes of the whole)


class DownloadError(RuntimeError):
    """A file that could not be fetched; the message names the file, what happened and what to do."""


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file on a server and how to know that it is the right one.

    Attributes:
        url: http or https.
        size: Bytes.
        sha256: 64 hexadecimal digits, of the file as it is sent (compressed, where it is).
        name: Of the file in the folder that it is fetched into; by default the last part of the URL's path.

    Raises:
        ValueError: One of these is impossible.
    """

    url: str
    size: int
    sha256: str
    name: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        object.__setattr__(self, "name", self.name or parts.path.rpartition("/")[2])
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url = {self.url!r} is not possible: give an http or https address.")
        if self.size < 1:
            raise ValueError(f"size = {self.size} is not possible: give the bytes of {self.name}.")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(
                f"sha256 = {self.sha256!r} is not possible: give 64 lower-case hexadecimal digits."
            )
        if not re.fullmatch(r"[\w-][\w.-]*", self.name):
            raise ValueError(f"name = {self.name!r} is not possible: give the plain name of a file.")

    @property
    def host(self) -> str:
        """The server."""
        return urlsplit(self.url).hostname or ""


def cached(file: RemoteFile, folder: Path) -> bool:
    """Whether the folder holds the file: by its exact size, for its hash was checked before it got its name."""
    try:
        return (folder / file.name).stat().st_size == file.size
    except OSError:
        return False


def shown_size(size: int) -> str:
    """Bytes as people read them, in powers of 1000: 4.5 kB, 170.1 MB."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
