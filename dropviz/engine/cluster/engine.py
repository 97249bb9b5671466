"""The engine whose jobs run on a Dask cluster. The cluster places them and knows nothing else; the store is the truth.

Dask repeats a task whose worker it lost, and an attempt must not run twice. So each task names the one worker process that may
run it: see decision 24.
"""

from __future__ import annotations

import asyncio
import builtins
import json
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import asdict
from typing import Any, NoReturn, TypeVar

from distributed import Client
from distributed.security import Security

from dropviz.engine.cluster import remote
from dropviz.engine.cluster.facts import PROCESS
from dropviz.engine.cluster.roster import SLOT, Member, Roster
from dropviz.engine.cluster.security import security_for
from dropviz.engine.protocol import Placed
from dropviz.store import Claim, Store

CONNECT_SECONDS = 10.0
LOOK_SECONDS = 1.0
KILLED = -9  # the exit code of a process that never began, and never will

T = TypeVar("T")
logger = logging.getLogger(__name__)


class _Job:
    """A job that was sent to a worker. Its pipe is closed at one end when it has ended, which the dispatcher waits for."""

    def __init__(self, claim: Claim, member: Member) -> None:
        self.claim, self.member = claim, member
        self.name = f"dropviz-{PROCESS}-{claim.job_id}-{claim.attempt}"
        self.exit_code: int | None = None
        self.lost: str | None = None
        self.following: asyncio.Task[None] | None = None
        self.stopping: asyncio.Task[None] | None = None
        self.sentinel, self._open = os.pipe()

    def end(self, *, exit_code: int | None = None, lost: str | None = None) -> None:
        """Remember how it ended; only the first word counts."""
        if self.exit_code is None and self.lost is None:
            self.exit_code, self.lost = exit_code, lost
            os.close(self._open)

    @property
    def placed(self) -> Placed:
        """The job as the dispatcher sees it."""
        return Placed(
            job_id=self.claim.job_id,
            attempt=self.claim.attempt,
            sentinel=self.sentinel,
            exit_code=self.exit_code,
            lost=self.lost,
        )


class DaskEngine:
    """Runs jobs in children of Dask workers; see ``protocol.Engine``. Its state lives in the thread of the connection.

    Args:
        url: The scheduler: ``tls://HOST:PORT``, or ``tcp://`` and a port of this machine.
        store: Where jobs come from.

    Raises:
        ValueError: The certificates that ``tls://`` needs are not usable.
    """

    def __init__(self, url: str, store: Store) -> None:
        self._url, self._store = url, store
        self._security = security_for(url)
        self._loop = asyncio.new_event_loop()
        self._jobs: dict[tuple[int, int], _Job] = {}
        self._client: Client | None = None
        self._roster: Roster | None = None

    def warm(self) -> None:
        """Connect, and have the workers checked; until one is fit, the engine offers no slots."""
        threading.Thread(target=self._run, name="cluster", daemon=True).start()

    def slots(self) -> int:
        """How many jobs run, and how many more the workers that are fit would take."""
        return self._call(lambda: len(self._alive()) + sum(self._free(member) for member in self._members()))

    def submit(self, claim: Claim) -> None:
        """Send a job to the worker that has most room.

        Raises:
            OSError: No worker has room any more.
        """
        self._call(lambda: self._submit(claim))

    def stop(self, job_id: int, attempt: int) -> None:
        """Kill the job's process, if it still runs and can be reached."""
        self._call(lambda: self._stop(job_id, attempt))

    def list(self) -> builtins.list[Placed]:
        """The jobs that run, and once each of those that ended since the last call."""
        return self._call(self._list)

    def _call(self, function: Callable[[], T]) -> T:
        """Call a function in the connection's thread and wait for it."""
        result: Future[T] = Future()

        def call() -> None:
            try:
                result.set_result(function())
            except Exception as error:
                result.set_exception(error)

        self._loop.call_soon_threadsafe(call)
        return result.result()

    def _members(self) -> builtins.list[Member]:
        return [member for member in self._roster.members.values() if member.usable] if self._roster else []

    def _alive(self) -> builtins.list[_Job]:
        return [job for job in self._jobs.values() if not job.placed.ended]

    def _free(self, member: Member) -> int:
        return max(0, member.slots - sum(job.member is member for job in self._alive()))

    def _submit(self, claim: Claim) -> None:
        member = max(self._members(), key=self._free, default=None)
        if member is None or not self._free(member):
            raise OSError("no worker of the cluster has room any more")
        job = self._jobs[claim.job_id, claim.attempt] = _Job(claim, member)
        job.following = asyncio.create_task(self._follow(job))

    async def _follow(self, job: _Job) -> None:
        assert self._client is not None and self._roster is not None and job.member.facts is not None  # noqa: PT018
        order = {
            "name": job.name,
            "process": job.member.facts.process,
            "claim": asdict(job.claim),
            "jobs": self._roster.sharing(job.member),
        }
        future = self._client.submit(
            remote.run,
            json.dumps(order),
            key=job.name,
            workers=[job.member.address],
            allow_other_workers=False,
            resources={SLOT: 1},
            retries=0,
            pure=False,
        )
        try:
            job.end(exit_code=await future)
        except (asyncio.CancelledError, CancelledError):  # the first is ours, the other one is Dask's
            job.end(lost=f"The cluster called it off at worker {job.member.address}")
            await future.cancel(force=True)
        except Exception as error:
            job.end(lost=f"Worker {job.member.address} could not run it ({type(error).__name__}: {error})")

    def _stop(self, job_id: int, attempt: int) -> None:
        job = self._jobs.get((job_id, attempt))
        if job is not None and not job.placed.ended and job.stopping is None:
            job.stopping = asyncio.create_task(self._kill(job))

    async def _kill(self, job: _Job) -> None:
        assert self._roster is not None
        try:
            if not await self._roster.ask(job.member.address, remote.stop, job.name):
                job.end(exit_code=KILLED)
                _cancel(job.following)
        except Exception as error:  # it is asked again; and the store lets no attempt write that is over
            logger.warning("worker %s could not be told to end a job (%s)", job.member.address, error)
        finally:
            job.stopping = None

    def _list(self) -> builtins.list[Placed]:
        placed = [job.placed for job in self._jobs.values()]
        for job in placed:
            if job.ended:
                os.close(self._jobs.pop((job.job_id, job.attempt)).sentinel)
        return placed

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:
            self._give_up(f"The Dask scheduler at {self._url} is gone or cannot be used ({_reason(error)})")

    async def _serve(self) -> None:
        """Watch the scheduler's list of workers until that fails."""
        options: dict[str, Any] = {"timeout": CONNECT_SECONDS, "name": "dropviz", "set_as_default": False}
        security = self._security or Security(require_encryption=False)
        self._client = await Client(self._url, security=security, asynchronous=True, **options)
        self._roster = Roster(self._client, self._store)
        logger.info("connected to the Dask scheduler at %s", self._url)
        while not self._store.workers():  # the workers look for this engine in their store
            await asyncio.sleep(0.1)
        scheduler = None
        while True:
            about = await asyncio.wait_for(self._client.scheduler.identity(n_workers=-1), CONNECT_SECONDS)
            if about["id"] != (scheduler := scheduler or about["id"]):
                raise ConnectionError("another one answers at its address")
            for member in self._roster.update(about["workers"]):
                self._lose(member)
            await asyncio.sleep(LOOK_SECONDS)

    def _lose(self, member: Member) -> None:
        for job in self._alive():
            if job.member is member:
                job.end(lost=f"The cluster lost worker {member.address}, which ran it")
                _cancel(job.following)

    def _give_up(self, sentence: str) -> NoReturn:
        """End the process: jobs are queued again by the next one, which whoever keeps the engine starts after a pause."""
        logger.error("%s, so this engine ends and is started again.", sentence)
        os._exit(1)


def _reason(error: BaseException) -> str:
    """What went wrong, in one line; of what went wrong with certificates, which settings say what is shown and believed."""
    if isinstance(error, TimeoutError) and not str(error):
        return "it does not answer"
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    if "SSL" in text or "certificate" in text:
        return f"{text}; are its certificate and DROPVIZ_TLS_CERT signed by DROPVIZ_TLS_CA, and still valid?"
    return text


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
