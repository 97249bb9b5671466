"""Several files that belong together, fetched one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dropviz.downloads.fetching import fetch, unwatched
from dropviz.downloads.remote import Progress, RemoteFile, cached


@dataclass(frozen=True, kw_only=True)
class Download:
    """The files of one data set and the folder that they are kept in."""

    files: tuple[RemoteFile, ...]
    folder: Path

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def cached(self) -> bool:
        """Whether all files are there; looks at their sizes only."""
        return all(cached(file, self.folder) for file in self.files)

    def path(self, file: RemoteFile) -> Path:
        """Where one of the files is, once it was fetched."""
        return self.folder / file.name

    def fetch(
        self, *, progress: Progress = unwatched, timeout: float = 30.0, retries: int = 3, pause: float = 1.0
    ) -> None:
        """Fetch what is not there. ``progress`` is told (bytes that are here, bytes of all files); see ``fetch``.

        Raises:
            DownloadError: For the first file that cannot be had; those before it stay.
        """
        before = 0
        for file in self.files:

            def of_all(done: int, _: int, before: int = before) -> None:
                progress(before + done, self.size)

            fetch(file, self.folder, progress=of_all, timeout=timeout, retries=retries, pause=pause)
            before += file.size
