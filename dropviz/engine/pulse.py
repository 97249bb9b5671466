"""A pipe through which a process says that it turns: what hangs, or is stopped for ever, falls silent though it lives.

No heartbeat in the store can say that, since it also stops when a disk is full, where nothing hangs and a new start helps nobody.
"""

from __future__ import annotations

import os
import time

LONGEST_LOOK = 2.0  # seconds between two looks that count; beyond, the one who looks stood still


class Pulse:
    """The end of the one who looks. The other end is inherited by whoever is given ``write_end``."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self.write_end, False)
        self.begin()

    def begin(self) -> None:
        """Listen to somebody new, who may take any time until the first beat."""
        self._beats()
        self._begun, self._silent, self._looked = False, 0.0, time.monotonic()

    def silence(self) -> float:
        """Seconds for which nothing was heard, as far as this process itself was awake; 0 until the first beat."""
        now = time.monotonic()
        passed, self._looked = now - self._looked, now
        if self._beats():
            self._begun, self._silent = True, 0.0
        elif self._begun:
            self._silent += min(passed, LONGEST_LOOK)
        return self._silent

    def close(self) -> None:
        """Close both ends here."""
        os.close(self._read_end)
        os.close(self.write_end)

    def _beats(self) -> bool:
        found = False
        try:
            while os.read(self._read_end, 65536):
                found = True
        except BlockingIOError:
            pass
        return found


class Beating:
    """The end of the one who turns.

    Args:
        write_end: The descriptor; nobody is told where there is none.
    """

    def __init__(self, write_end: int | None) -> None:
        self._write_end = write_end

    def beat(self) -> None:
        """Say that this process turns."""
        if self._write_end is None:
            return
        try:
            os.write(self._write_end, b".")
        except OSError:  # nobody has looked for long, so the pipe is full, or nobody is there
            return


SILENT = Beating(None)
