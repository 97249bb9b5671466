"""A child that stands still in the middle of a write keeps everybody from writing, and would for ever: it is killed.

Its silence cannot be told to a store that cannot be written. PostgreSQL ends such a transaction by itself; SQLite asks nobody.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from dropviz.store.records import LEASE_SECONDS

LOOK_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Holder:
    """Who is the only one that may write, look after look.

    Args:
        writer: Says the process that is at this moment; see ``Database.writer``.
    """

    def __init__(self, writer: Callable[[], int | None]) -> None:
        self._writer = writer
        self._pid: int | None = None
        self._looks = 0

    def look(self) -> int | None:
        """The process that was found at every look for as long as a child may be silent; looks are made every ``LOOK_SECONDS``.

        They are counted, not timed: when this process stood still itself, so may have all others.
        """
        pid = self._writer()
        self._looks = self._looks + 1 if pid == self._pid else 1
        self._pid = pid
        return pid if self._looks * LOOK_SECONDS > LEASE_SECONDS else None


def watch(writer: Callable[[], int | None], kill: Callable[[int], bool]) -> None:
    """Kill, from a thread of its own, whoever does not let go.

    Args:
        writer: See ``Holder``.
        kill: Kills a process if it is one's own to kill, and says whether it was.
    """
    threading.Thread(target=_watch, args=(Holder(writer), kill), name="holder", daemon=True).start()


def _watch(holder: Holder, kill: Callable[[int], bool]) -> None:
    said = None
    pause = threading.Event()
    while not pause.wait(LOOK_SECONDS):
        pid = holder.look()
        if pid is not None and pid != said:  # it is said once of each that is not ours
            ended = "a training process, which is killed" if kill(pid) else f"process {pid}"
            logger.warning(
                "the store could not be written for %.0f s: it is held by %s", LEASE_SECONDS, ended
            )
        said = pid
