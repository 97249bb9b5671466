"""The loop between the store and an engine: place what is queued, end what is not wanted, take up what died."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import time
from multiprocessing.connection import wait

from dropviz import logs, settings
from dropviz.engine.checkpoints import Checkpoints
from dropviz.engine.daily import DailyPrune
from dropviz.engine.protocol import Engine, Placed
from dropviz.engine.pulse import SILENT, Beating
from dropviz.engine.recorder import EXIT_LOST
from dropviz.engine.silence import Silence
from dropviz.engine.stopping import Stopping
from dropviz.store import Store, StoreError, Worker
from dropviz.store.records import LEASE_SECONDS, Outcome

TURN_SECONDS = 0.05
IDLE_SECONDS = 0.1
GRACE_SECONDS = 0.5  # a child that is to stop ends itself; after this it is killed
BEAT_SECONDS = 2.0
UNUSABLE_SECONDS = 1.0  # until a store that could not be used is tried again
SWEEP_SECONDS = 60.0
SHORTEST_REST, LONGEST_REST = 1.0, 30.0  # seconds without a new child, after none could start
UNWATCHED_SECONDS = 10.0
FROZEN_SECONDS = 5.0  # between two rounds of housekeeping: this process, or the store, stood still, so silence says nothing
STARTING_SECONDS = 60.0  # a child that has not reported yet may still be importing torch from a cold disk

logger = logging.getLogger(__name__)


class Dispatcher:
    """Serves one store with one engine. Nothing is kept here that the store does not know.

    On PostgreSQL other dispatchers may serve the same store: each claims jobs for its own engine, and gives up the silent of all.
    """

    def __init__(self, store: Store, engine: Engine, pulse: Beating = SILENT) -> None:
        self.store, self.engine, self._pulse = store, engine, pulse
        self.worker_id = secrets.token_hex(8)
        self.started_at = store.now()
        self._ended: dict[tuple[int, int], tuple[Outcome, str]] = {}  # not yet known to the store
        self._condemned: dict[tuple[int, int], float] = {}
        self._listen_anew()
        self._daily_prune = DailyPrune(store)
        self._rest, self._rested_at = 0.0, float("-inf")
        self._beaten_at = self._listened_at = self._swept_at = float("-inf")

    def _listen_anew(self) -> None:
        self._children: Silence[tuple[int, int]] = Silence()
        self._engines: Silence[str] = Silence()
        self._watchers: Silence[str] = Silence()

    def run(self, stopping: Stopping) -> None:
        """Serve until ``stopping`` is set; then the children end and their jobs are queued again."""
        released, trouble = None, ""
        while not stopping.is_set():
            self._pulse.beat()
            try:
                if released is None:
                    released = self._take_up()
                    logger.info("took up the jobs of an engine that ended", extra=logs.of(jobs=released))
                self.turn()
                trouble = ""
            except (StoreError, OSError) as error:  # a full disk or a locked file may pass
                if str(error) != trouble:  # said once, or the log would fill what is full
                    trouble = str(error)
                    logger.warning("%s", trouble)
                stopping.wait(UNUSABLE_SECONDS)
        self._close()

    def _take_up(self) -> int:
        """Queue again what engines that are gone left running; what others left is seen by its silence."""
        if self.store.database.one_engine:
            return self.store.release()
        gone = {worker.id for worker in self.store.workers() if _ended_here(worker)}
        return self.store.release(gone)

    def turn(self) -> None:
        """One round: bury, obey, place; then wait until a child ends or a moment has passed."""
        placed = self.engine.list()
        for job in placed:
            if job.ended:
                self._ended[job.job_id, job.attempt] = _death(job)
        self._bury()
        alive = {(job.job_id, job.attempt): job for job in placed if not job.ended}
        self._obey(alive)
        self._place(self.engine.slots() - len(alive))
        self._housekeeping()
        sentinels = [job.sentinel for job in alive.values() if job.sentinel is not None]
        if sentinels:
            wait(sentinels, TURN_SECONDS)
        else:
            time.sleep(IDLE_SECONDS)

    def _place(self, free: int) -> None:
        """Fill the free slots. A machine that has no memory or no process left for a child gets a rest; the jobs wait for it."""
        while (
            free > 0 and time.monotonic() >= self._rested_at and (claim := self.store.claim(self.worker_id))
        ):
            free -= 1
            self._pulse.beat()  # many slots, or a busy store, make a round long
            about = logs.of(job=claim.job_id, attempt=claim.attempt, kind=claim.kind, arm=claim.arm or None)
            logger.info("job placed", extra=about)
            try:
                self.engine.submit(claim)
            except (OSError, EOFError) as error:
                self._ended[claim.job_id, claim.attempt] = "released", f"No process could start ({error})"
                self._rest = min(max(SHORTEST_REST, 2 * self._rest), LONGEST_REST)
                self._rested_at = time.monotonic() + self._rest
            else:
                self._rest = 0.0

    def _bury(self) -> None:
        """Tell the store what ended. What it cannot take now it is told in a later round."""
        for key, (outcome, error) in tuple(self._ended.items()):
            self._pulse.beat()
            # A child that ended well has said so itself, and this changes nothing.
            if self.store.finish(*key, outcome, error=error):
                logger.warning(error, extra=logs.of(job=key[0], attempt=key[1]))
            self._condemned.pop(key, None)
            del self._ended[key]

    def _obey(self, alive: dict[tuple[int, int], Placed]) -> None:
        if not alive:
            return
        wanted = {(lease.job_id, lease.attempt): lease.wants for lease in self.store.running()}
        now = time.monotonic()
        for key in alive:
            if wanted.get(key, "superseded") in ("run", "pause"):
                self._condemned.pop(key, None)
            elif now - self._condemned.setdefault(key, now) > GRACE_SECONDS:
                self.engine.stop(*key)

    def _housekeeping(self) -> None:
        now = time.monotonic()
        if now - self._beaten_at > BEAT_SECONDS:
            self._beaten_at = now
            self.store.beat(self._worker())
            if now - self._listened_at > FROZEN_SECONDS:
                self._listen_anew()
            self._expire(now)
            self._stop_unwatched(now)
            self._listened_at = now
        if now - self._swept_at > SWEEP_SECONDS:
            self._swept_at = now
            Checkpoints(self.store).sweep()
            self._daily_prune.turn()

    def _expire(self, now: float) -> None:
        """Give up children that have been silent, whoever placed them, and forget engines that have been.

        A child that has not begun is given time to start, unless its engine is silent, too.
        """
        leases = self.store.running()
        beats = {worker.id: worker.heartbeat_at for worker in self.store.workers()}
        engines = self._engines.of(beats, now)
        children = self._children.of({(one.job_id, one.attempt): one.heartbeat_at for one in leases}, now)
        for lease in leases:
            key = (lease.job_id, lease.attempt)
            placed = engines.get(lease.worker_id, LEASE_SECONDS + 1) <= LEASE_SECONDS
            patience = STARTING_SECONDS if placed and not lease.begun else LEASE_SECONDS
            if children[key] > patience:
                error = f"The training process was silent for {patience:.0f} seconds"
                if self.store.finish(*key, "crashed", error=error):
                    logger.warning("lease expired", extra=logs.of(job=lease.job_id, attempt=lease.attempt))
                self.engine.stop(*key)
        for worker_id, seconds in engines.items():
            if seconds > LEASE_SECONDS and worker_id != self.worker_id:
                logger.warning("a silent engine counts as gone", extra=logs.of(engine=worker_id))
                self.store.leave(worker_id)

    def _stop_unwatched(self, now: float) -> None:
        """Stop what a command line started that is gone."""
        for view_id, seconds in self._watchers.of(self.store.watched(), now).items():
            if seconds > UNWATCHED_SECONDS:
                logger.info("the command that asked for it is gone", extra=logs.of(experiment=view_id))
                self.store.request(view_id, "stop")

    def _worker(self) -> Worker:
        return Worker(
            id=self.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            slots=self.engine.slots(),
            device=settings.device(),
            started_at=self.started_at,
            heartbeat_at=self.store.now(),
        )

    def _close(self) -> None:
        alive = [job for job in self.engine.list() if not job.ended]
        for job in alive:
            self.engine.stop(job.job_id, job.attempt)
        self._ended |= {(job.job_id, job.attempt): ("released", "The engine ended") for job in alive}
        sentinels = [job.sentinel for job in alive if job.sentinel is not None]
        deadline = time.monotonic() + 2.0
        while sentinels and time.monotonic() < deadline:
            for ended in wait(sentinels, 0.1):
                sentinels.remove(ended)  # type: ignore[arg-type]
        try:
            self._bury()
            self.store.leave(self.worker_id)
        except StoreError as error:  # the next engine takes up what this one could not give back
            logger.warning("%s", error)


def _ended_here(worker: Worker) -> bool:
    """Whether an engine was a process of this machine that has ended; one of the same number as this one was before it."""
    if worker.host != socket.gethostname():
        return False
    if worker.pid == os.getpid():
        return True
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _death(job: Placed) -> tuple[Outcome, str]:
    """How an attempt ended whose process has: one that was told to terminate, with all others, is no failure of the job."""
    exit_code = job.exit_code
    if exit_code is None:
        return "crashed", job.lost or "Nothing is known of the training process any more"
    if exit_code == -signal.SIGTERM:
        return "released", "The training process was told to end"
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return "crashed", f"The training process was killed by signal {-exit_code} ({name})"
    if exit_code == EXIT_LOST:
        return "crashed", "The store had lost points of it"
    return "crashed", f"The training process ended with exit code {exit_code}"
