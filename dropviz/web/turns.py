"""Pages are drawn a few at a time, in the order in which they were asked for: thirty at once would only hold each other up.

Python runs one thread at a time, so many scripts at once end late together, and the live data wait behind each of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 2
PATIENCE_SECONDS = (
    2.0  # one that takes long, or waits for something itself, does not hold up the others for longer
)

_turns = threading.Semaphore(AT_ONCE)


@contextmanager
def turn(turns: threading.Semaphore = _turns, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Wait for one's turn, or until patience is at its end, then go."""
    waited = turns.acquire(timeout=patience)
    try:
        yield
    finally:
        if waited:
            turns.release()
