"""The engine of one machine: each job is a child forked from a server that has imported torch already."""

from __future__ import annotations

import builtins
import logging
import multiprocessing
import os
import threading
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess

from dropviz import settings
from dropviz.engine.child import run_job
from dropviz.engine.protocol import Placed
from dropviz.store import Claim

# What a child needs, imported once. None of these computes with tensors at import: threads of the server would
# not survive the fork.
PRELOAD = [
    "dropviz.engine.forkserver_setup",
    "torch",
    "torch._dynamo",
    "torch.optim",
    "safetensors.torch",
    "sklearn.datasets",
    "dropviz.engine.child",
    "dropviz.training",
    "dropviz.curvature",
    "dropviz.engine.forkserver_members",
]


logger = logging.getLogger(__name__)


class LocalEngine:
    """Runs jobs in child processes; see ``protocol.Engine``.

    Args:
        url: The store that the children write to.
        slots: How many jobs run at once; by default what the settings say.
    """

    def __init__(self, url: str, slots: int | None = None) -> None:
        self.url = url
        self._slots = slots or settings.slots()
        self._context = multiprocessing.get_context("forkserver")
        self._ready = threading.Event()
        self._processes: dict[tuple[int, int], ForkServerProcess] = {}

    def warm(self) -> None:
        """Start the fork server, which imports torch; until it has, the engine offers no slots and nobody waits for it.

        Call it from a thread that lives as long as the engine: the server dies with it.
        """
        self._context.set_forkserver_preload(PRELOAD)
        forkserver.ensure_running()
        threading.Thread(target=self._wait_for_server, name="warm-up", daemon=True).start()

    def _wait_for_server(self) -> None:
        first = self._context.Process(target=int, daemon=True)
        try:
            first.start()  # returns when the server answers
            first.join()
        except (OSError, EOFError):
            logger.exception("the fork server ended while it imported torch, so this engine ends, too")
            os._exit(1)  # whoever keeps the engine tries again, and says so if that does not help
        self._ready.set()

    def slots(self) -> int:
        """How many jobs it runs at once; none while the fork server starts."""
        return self._slots if self._ready.is_set() else 0

    def submit(self, claim: Claim) -> None:
        """Fork a child that runs the job."""
        arguments = (claim, self.url, settings.device(), settings.threads(self._slots))
        process = self._context.Process(
            target=run_job, args=arguments, name=f"job {claim.job_id}", daemon=True
        )
        process.start()
        self._processes[claim.job_id, claim.attempt] = process

    def stop(self, job_id: int, attempt: int) -> None:
        """Kill the job's process, if it still runs."""
        process = self._processes.get((job_id, attempt))
        if process is not None:
            process.kill()

    def list(self) -> builtins.list[Placed]:
        """The jobs that run, and once each of those that ended since the last call."""
        placed = []
        for (job_id, attempt), process in tuple(self._processes.items()):
            code = process.exitcode
            sentinel = None if code is not None else process.sentinel
            placed.append(
                Placed(job_id=job_id, attempt=attempt, pid=process.pid, sentinel=sentinel, exit_code=code)
            )
            if code is not None:
                process.join()
                process.close()
                del self._processes[job_id, attempt]
        return placed
