"""Writes that are tried again until they succeed: a full or read-only disk passes, and what was computed is not thrown away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from dropviz.store import StoreError

T = TypeVar("T")

SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # the longest is far less than a lease


def insist(write: Callable[[], T], waiting: Callable[[Exception], None]) -> T:
    """The result of ``write``, which can be repeated; ``waiting`` is told of each failure, and may end the process."""
    pause = SHORTEST_PAUSE
    while True:
        try:
            return write()
        except (StoreError, OSError) as error:
            waiting(error)
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
