"""The engine of one machine: each job is a child of this process."""

from __future__ import annotations

import builtins
import logging
import os
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.context import ForkServerProcess

from dropviz import settings
from dropviz.engine.nursery import Nursery
from dropviz.engine.protocol import Placed
from dropviz.store import Claim

logger = logging.getLogger(__name__)


class LocalEngine:
    """Runs jobs in child processes; see ``protocol.Engine``.

    Args:
        url: The store that the children write to.
        slots: How many jobs run at once; by default what the settings say.
    """

    def __init__(self, url: str, slots: int | None = None) -> None:
        self._slots = slots or settings.slots()
        self._nursery = Nursery(url)
        self._warmed: Future[None] | None = None
        self._processes: dict[tuple[int, int], ForkServerProcess] = {}

    def warm(self) -> None:
        """Start the fork server, which imports torch; until it has, the engine offers no slots and nobody waits for it.

        Call it from a thread that lives as long as the engine: the server dies with it.
        """
        self._warmed = self._nursery.warm()
        self._warmed.add_done_callback(_end_without_server)

    def slots(self) -> int:
        """How many jobs it runs at once; none while the fork server starts."""
        return self._slots if self._warmed is not None and self._warmed.done() else 0

    def submit(self, claim: Claim) -> None:
        """Fork a child that runs the job."""
        self._processes[claim.job_id, claim.attempt] = self._nursery.start(claim, self._slots)

    def stop(self, job_id: int, attempt: int) -> None:
        """Kill the job's process, if it still runs."""
        process = self._processes.get((job_id, attempt))
        if process is not None:
            process.kill()

    def kill(self, pid: int) -> bool:
        """Kill the job whose process this is; False if none is. Safe from any thread."""
        for process in tuple(self._processes.values()):
            with suppress(ValueError):  # it has ended, and was buried in this moment
                if process.pid == pid:
                    process.kill()
                    return True
        return False

    def list(self) -> builtins.list[Placed]:
        """The jobs that run, and once each of those that ended since the last call."""
        placed = []
        for (job_id, attempt), process in tuple(self._processes.items()):
            code = process.exitcode
            sentinel = None if code is not None else process.sentinel
            placed.append(Placed(job_id=job_id, attempt=attempt, sentinel=sentinel, exit_code=code))
            if code is not None:
                self._nursery.bury(process)
                del self._processes[job_id, attempt]
        return placed


def _end_without_server(warmed: Future[None]) -> None:
    if error := warmed.exception():
        logger.error(
            "the fork server ended while it imported torch, so this engine ends, too", exc_info=error
        )
        os._exit(1)  # whoever keeps the engine tries again, and says so if that does not help
