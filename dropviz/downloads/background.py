"""Downloads that go on in a thread while somebody looks: shared by all who ask, watched, cancelled, started again."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Literal

from dropviz.downloads.group import Download
from dropviz.downloads.remote import DownloadError

State = Literal["running", "done", "failed", "cancelled"]
WINDOW, SPACING = 5.0, 0.2  # seconds that the speed is a mean of, and between two looks at it


class _Cancelled(Exception):
    """Nobody waits any more."""


class Fetching:
    """One download in a thread of its own.

    Attributes:
        state: What has become of it; it changes once, from ``running``.
        done, total: Bytes that are here, and bytes of all its files.
        error: Why it failed, in one sentence.
        waiting: Who wants it; it is cancelled when nobody does.
    """

    def __init__(self, download: Download, former: Fetching | None = None) -> None:
        self.download, self.total, self._former = download, download.size, former
        self.state: State = "running"
        self.done, self.error = 0, ""
        self.waiting: set[str] = set()
        self._passed: tuple[tuple[float, int], ...] = ()  # (time, bytes that were here)
        self._cancelled = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"fetch {download.folder.name}", daemon=True)

    @property
    def speed(self) -> float | None:
        """Bytes a second over the last few seconds; None until that can be told."""
        passed = self._passed
        if len(passed) < 2:
            return None
        (first, before), (last, after) = passed[0], passed[-1]
        return (after - before) / (last - first)

    def cancel(self) -> None:
        """End it at the next bytes that come; what is here is kept for the next time."""
        self._cancelled.set()

    def _run(self) -> None:
        if self._former is not None:
            self._former.thread.join()  # it was cancelled and may still hold the file
        try:
            self.download.fetch(progress=self._progress)
            self.state = "done"
        except _Cancelled:
            self.state = "cancelled"
        except DownloadError as error:
            self.error = str(error)
            self.state = "failed"
        except Exception as error:
            self.error = f"It could not be fetched ({error}): try again."
            self.state = "failed"
            raise

    def _progress(self, done: int, total: int) -> None:
        if self._cancelled.is_set():
            raise _Cancelled
        self.done, now = done, time.monotonic()
        if self._passed and now < self._passed[-1][0] + SPACING:
            return
        recent = tuple(look for look in self._passed[:-1] if look[0] > now - WINDOW)
        self._passed = (*recent, *self._passed[-1:], (now, done))


class Fetches:
    """The downloads of this process, at most one at a time of each; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[Path, Fetching] = {}

    def start(self, download: Download, who: str) -> Fetching:
        """Fetch it, or join those who are fetching it already; after a failure, go on from what is here."""
        with self._lock:
            found = self._found.get(download.folder)
            if found is None or found.state != "running" or not found.waiting:
                found = self._found[download.folder] = Fetching(download, found)
                found.waiting.add(who)
                found.thread.start()
            found.waiting.add(who)
            return found

    def leave(self, download: Download, who: str) -> None:
        """No longer want it; the last one who leaves cancels it."""
        with self._lock:
            found = self._found.get(download.folder)
            if found is not None:
                found.waiting.discard(who)
                if not found.waiting:
                    found.cancel()

    def of(self, download: Download) -> Fetching | None:
        """The latest one of this download, if there was any."""
        with self._lock:
            return self._found.get(download.folder)
