"""What the store takes of the disk, looked at from a thread now and then: with many files that takes seconds."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from dropviz import settings
from dropviz.store import StoreError
from dropviz.store.parts import Parts
from dropviz.web.live import store

FRESH_SECONDS = 60.0
SHARE = 100  # looking takes at most one part in so many of the time

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Bytes by part, and what is free on the disk that holds them."""

    parts: dict[str, int]
    free: int
    total: int

    @property
    def low(self) -> bool:
        """Whether the disk is nearly full: less than 2 GB and less than a tenth of it are free."""
        return self.free < 2e9 and self.free < self.total / 10


class Watch:
    """The latest look; asking for it begins the next one, when that is due, and never waits."""

    def __init__(self, look: Callable[[], Usage]) -> None:
        self._look, self._lock = look, threading.Lock()
        self._latest: Usage | None = None
        self._due_at, self._looking = float("-inf"), False

    def usage(self) -> Usage | None:
        """What the latest look found; None until there was one."""
        with self._lock:
            if not self._looking and time.monotonic() >= self._due_at:
                self._looking = True
                threading.Thread(target=self._run, name="disk usage", daemon=True).start()
            return self._latest

    def _run(self) -> None:
        started, found = time.monotonic(), None
        try:
            found = self._look()
        except (StoreError, OSError) as error:
            logger.warning("the disk could not be looked at: %s", error)
        finally:
            with self._lock:
                self._latest, self._looking = found or self._latest, False
                taken = time.monotonic() - started
                self._due_at = time.monotonic() + max(FRESH_SECONDS, SHARE * taken)


def usage() -> Usage | None:
    """Of this process's store."""
    return _watch(settings.store_url()).usage()


def look() -> Usage:
    """Look now."""
    parts = Parts.of(store().database)
    disk = shutil.disk_usage(next(path for path in parts.database.parents if path.exists()))
    return Usage(parts=parts.sizes(), free=disk.free, total=disk.total)


@cache
def _watch(url: str) -> Watch:
    return Watch(look)
