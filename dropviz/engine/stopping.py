"""That a signal asks a process to end, whatever it does in that moment and however many signals there are.

``threading.Event`` has a lock. The handler of a signal runs in the middle of whatever the main thread does: if that holds the lock, as it
does while it sets the event or begins to wait for it, then it waits for itself for ever. Two signals at once are nothing rare: `make` and the
group that it belongs to each pass one on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait


class Stopping:
    """Whether this process is to end. It has no lock, and may be set from the handler of a signal."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        self._is_set = False

    def set(self) -> None:
        """Ask for the end."""
        if not self._is_set:
            self._is_set = True
            os.write(self._write_end, b".")

    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until the end is asked for; whether it is."""
        wait([self._read_end], seconds)
        return self._is_set

    def close(self) -> None:
        """Close the pipe that it waits with."""
        os.close(self._read_end)
        os.close(self._write_end)


@contextmanager
def stop_signals() -> Iterator[Stopping]:
    """Within the block SIGINT and SIGTERM set this, and do nothing else."""
    stopping = Stopping()
    handlers = {
        number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopping
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        stopping.close()
