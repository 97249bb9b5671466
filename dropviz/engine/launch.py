"""Starting an engine process beside the one that needs it, and keeping it: it ends when its keeper ends."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import IO

from dropviz import settings
from dropviz.engine import lock
from dropviz.engine.pulse import Pulse

SUPERVISED = "DROPVIZ_SUPERVISED"  # set by ``dropviz serve``, which keeps the engine itself
LOOK_SECONDS = 1.0
EARLY_SECONDS = 30.0  # of life, before which its end is a failure to start
LONGEST_PAUSE = 10.0
HANGING_SECONDS = 120.0  # without a sign of its loop, after which an engine hangs; a write waits 15 at most
LOG_BYTES = 2**20

logger = logging.getLogger(__name__)


class EngineKeeper:
    """Sees to it that some engine of this machine serves the store, with one of its own where nobody else has any.

    Where the settings say that engines run elsewhere it does nothing. The engine holds the read end of a pipe; it ends as soon as
    this process does, even by kill -9. Through another it says that it turns; one that hangs is killed, and its jobs are taken up
    by the next at their checkpoints.

    Args:
        log: Where the engine's messages go; by default ``engine.log`` in the data directory.
        always: Keep one of its own beside any other engine, and whatever the settings say: what ``dropviz engine`` does.
    """

    def __init__(self, log: IO[bytes] | int | None = None, *, always: bool = False) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._log, self._always = log, always
        self._lifeline, self._write_end = os.pipe()  # neither is inherited unless it is passed by name
        self._pulse = Pulse()
        self._started_at, self._pause = float("-inf"), 0.0
        self.deaths = 0  # engines in a row that ended soon after their start
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def ensure(self) -> None:
        """Start an engine if none runs; wait longer each time it ends at once."""
        if self.process is not None and self.process.poll() is None:
            if self._pulse.silence() <= HANGING_SECONDS or not self._ended_by_force():
                return
            logger.error("the engine hung and was killed; another takes its jobs up")
        if not self._always and self._is_needless():
            return
        lived = time.monotonic() - self._started_at
        if lived < self._pause:
            return
        early = self.process is not None and lived < EARLY_SECONDS
        self.deaths = self.deaths + 1 if early else 0
        self._pause = min(LONGEST_PAUSE, max(0.5, 2 * self._pause)) if early else 0.5
        self._start()

    def exit_code(self) -> int | None:
        """Of the engine that was started here, if it has ended by itself and no other has been started since."""
        return None if self.process is None else self.process.poll()

    def keep(self) -> None:
        """Look after the engine from a thread, until ``close``."""
        self._thread = threading.Thread(target=self._keep, name="engine keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the engine that was started here, if any; its jobs are queued again."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            if self.process.poll() is None and not self._ended_by_force():
                logger.error("the engine does not end, whatever it waits for; it is left behind")
        for end in (self._lifeline, self._write_end):
            os.close(end)
        self._pulse.close()

    def _is_needless(self) -> bool:
        return bool(os.environ.get(SUPERVISED)) or settings.engine() == "none" or lock.engine_runs()

    def _ended_by_force(self) -> bool:
        """Kill it; one that waits for a disk that does not answer ends only when that does."""
        assert self.process is not None
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        return self.process.poll() is not None

    def _keep(self) -> None:
        while not self._closing.is_set():
            try:
                self.ensure()
            except (OSError, ValueError):  # no memory or no process left may pass
                logger.exception("no engine could be started; it is tried again")
            self._closing.wait(LOOK_SECONDS)

    def _start(self) -> None:
        passed = {"--lifeline": self._lifeline, "--pulse": self._pulse.write_end}
        command = [sys.executable, "-m", "dropviz.engine"]
        command += [part for name, end in passed.items() for part in (name, str(end))]
        command += [] if self._always else ["--if-none"]
        self._pulse.begin()
        log = self._log if self._log is not None else _open_log()
        try:
            self.process = subprocess.Popen(
                command,
                pass_fds=list(passed.values()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we end the engine in order
            )
        finally:
            if self._log is None and not isinstance(log, int):
                log.close()
        self._started_at = time.monotonic()


def start_engine_if_none() -> EngineKeeper:
    """Keep an engine for as long as this process lives, unless ``dropviz serve`` or another process has one.

    Returns:
        The keeper; call its ``close`` at the end.
    """
    keeper = EngineKeeper()
    keeper.keep()
    return keeper


def _open_log() -> IO[bytes]:
    path = settings.data_dir() / "engine.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    longest = path.exists() and path.stat().st_size > LOG_BYTES
    return path.open("wb" if longest else "ab")
