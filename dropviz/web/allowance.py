"""How much one person may hand in within an hour, since the room for files is everybody's. Kept by this process, not in the store."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from dropviz.choices import SpecError

HOUR = 3600.0
MOST_BYTES = 75_000_000  # a seventh of the room for all uploads; the largest run that is opened takes 72
MOST_PEOPLE = 10_000  # that are remembered


@cache
def allowance() -> Allowance:
    """What people have handed in to this server for it to keep."""
    return Allowance()


class Allowance:
    """Counts what each owner handed in; safe to share between threads."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._taken: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    @contextmanager
    def of(self, owner: str, size: int) -> Iterator[None]:
        """Let a block take so many bytes, which count unless it fails.

        Raises:
            SpecError: They are too many for this hour.
        """
        entry = (time.monotonic(), size)
        with self._lock:
            taken = self._lately(owner)
            lately = sum(amount for _, amount in taken)
            if lately + size > self.most:
                raise SpecError(
                    f"You handed in {lately / 1e6:,.0f} MB within an hour, and this server takes {self.most / 1e6:,.0f} MB of"
                    " one person: use a file that you have handed in, or wait."
                )
            taken.append(entry)
        try:
            yield
        except BaseException:
            with self._lock, suppress(ValueError):
                taken.remove(entry)
            raise

    def _lately(self, owner: str) -> deque[tuple[float, int]]:
        taken, now = self._taken.setdefault(owner, deque()), time.monotonic()
        self._taken.move_to_end(owner)
        while len(self._taken) > MOST_PEOPLE:
            self._taken.popitem(last=False)
        while taken and now - taken[0][0] > HOUR:
            taken.popleft()
        return taken
