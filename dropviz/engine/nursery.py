"""Children of one process: each is forked from a server that has imported torch already, and gets a GPU where there are several."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from typing import Any

from dropviz import settings
from dropviz.engine.child import run_job
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


class Nursery:
    """Starts children and knows which GPU each of them has.

    Args:
        url: The store that the children write to.
        job: What a child does with its claim; see ``child.run_job``.
    """

    def __init__(self, url: str, job: Callable[[Claim, str, str, int], None] = run_job) -> None:
        self.url = url
        self._job = job
        self._context = multiprocessing.get_context("forkserver")
        self._on_gpus: dict[ForkServerProcess, str] = {}

    def warm(self, more: Sequence[str] = ()) -> Future[None]:
        """Start the fork server; the future has a result once it has imported torch and ``more``, and an error if it ended.

        Call it from a thread that lives as long as the process: the server dies with it.
        """
        self._context.set_forkserver_preload([*PRELOAD, *more])
        forkserver.ensure_running()
        warmed: Future[None] = Future()
        threading.Thread(target=self._wait_for_server, args=(warmed,), name="warm-up", daemon=True).start()
        return warmed

    def _wait_for_server(self, warmed: Future[None]) -> None:
        first = self._context.Process(target=int, daemon=True)
        try:
            first.start()  # returns when the server answers
            first.join()
        except (OSError, EOFError) as error:
            warmed.set_exception(error)
        else:
            warmed.set_result(None)

    def start(self, claim: Claim, jobs: int) -> ForkServerProcess:
        """Fork a child that runs a job.

        Args:
            claim: The job.
            jobs: How many run on this machine at once, which share its cores.
        """
        device = settings.device()
        gpu = self._free_gpu() if device == "cuda" else None
        arguments = (self._job, gpu, claim, self.url, device, settings.threads(jobs))
        process = self._context.Process(
            target=_begin, args=arguments, name=f"job {claim.job_id}", daemon=True
        )
        process.start()
        if gpu is not None:
            self._on_gpus[process] = gpu
        return process

    def bury(self, process: ForkServerProcess) -> None:
        """Forget a child that has ended."""
        self._on_gpus.pop(process, None)
        process.join()
        process.close()

    def _free_gpu(self) -> str | None:
        """The GPU with the fewest jobs, by the name that CUDA has for it; None where there is no choice."""
        names = settings.gpus()
        busy = Counter(self._on_gpus.values())
        return min(names, key=lambda name: busy[name]) if len(names) > 1 else None


def _begin(job: Callable[..., None], gpu: str | None, *arguments: Any) -> None:
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = (
            gpu  # CUDA reads it at its first call, and the fork server makes none
        )
    job(*arguments)
