"""The thread that writes for a child: points, heartbeats, weights, checkpoints, the end.

Training never waits for a store that works. While it cannot be written, because a disk is full for example, training stands
still, and goes on when that is over. Everything goes through one queue, so a checkpoint is published only after the points and
weights that came before it. The thread also watches the other one: training that stops moving is said to be stalled, and fails.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback as tracebacks
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from dropviz import settings
from dropviz.engine.checkpoints import Checkpoint, Checkpoints
from dropviz.engine.insisting import T, insist
from dropviz.store import Claim, Point, SnapshotRow, Store, StoreError
from dropviz.store.records import LostPoints, Orders, Outcome

FLUSH_SECONDS = 0.15
ORDERS_SECONDS = 0.04  # how often it asks whether the job is to stop: a small read of a file,
SHARED_ORDERS_SECONDS = 0.2  # or of a server that children of many machines ask
HEARTBEAT_SECONDS = 1.0
IDLE_SECONDS = 10.0  # without news of training, after which the page says so;
IDLE_TIMES, MOST_IDLE_SECONDS = 5.0, 120.0  # so many of its longest wait where that is more, within reason
FROZEN_SECONDS = (
    5.0  # between two looks of this thread: the whole process stood still, which is no fault of training
)
EXIT_SUPERSEDED, EXIT_BROKEN, EXIT_LOST = 3, 4, 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Records of one evaluation point, and the seconds that were spent on what since the one before."""

    records: Sequence[Point | SnapshotRow]
    step: int
    steps_per_second: float | None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Weights of a step that are kept for scrubbing."""

    step: int
    parameters: Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an attempt ends."""

    outcome: Outcome
    error: str | None = None
    traceback: str | None = None


Item = Progress | Kept | Checkpoint | Ending


class Recorder:
    """Writes what the training thread hands over, and learns what is wanted of the job.

    ``wants`` is the latest order; the thread obeys ``stop`` itself, by ending the process.
    """

    def __init__(self, store: Store, claim: Claim, wants: Orders) -> None:
        self.store, self.claim, self.wants = store, claim, wants
        self.job_id, self.attempt = claim.job_id, claim.attempt
        self.checkpoints = Checkpoints(store)
        self._pause = ORDERS_SECONDS if store.database.one_engine else SHARED_ORDERS_SECONDS
        self._items: list[Item] = []
        self._changed = threading.Condition()
        self._blocked = False  # nothing can be written at the moment
        self._beaten_at = self._moved_at = self._looked_at = time.monotonic()
        self._longest = 0.0  # seconds between two pieces of news
        self._flushed_at = float("-inf")
        self._patience = settings.step_seconds()
        self._training = threading.get_ident()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand over records, weights, a checkpoint, or the end; returns at once, unless nothing can be written."""
        with self._changed:
            self._changed.wait_for(lambda: not self._blocked)
            now = time.monotonic()
            self._longest = max(self._longest, now - self._moved_at)
            self._moved_at = now
            self._items.append(item)
            if (
                self._is_due()
            ):  # else it looks by itself soon: waking it for each point would cost training more
                self._changed.notify_all()

    def end(self, ending: Ending) -> None:
        """Hand over the end and wait until all is written."""
        self.put(ending)
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._turn():
                pass
        except LostPoints as error:  # the engine queues the job again, and it begins where it was saved
            logger.warning("%s", error)
            os._exit(EXIT_LOST)
        except Exception:  # without this thread the other one would train for nobody
            logger.exception("the job cannot be recorded")
            os._exit(EXIT_BROKEN)

    def _turn(self) -> bool:
        with self._changed:
            self._changed.wait_for(self._is_due, timeout=self._pause)
            items: list[Item] = []
            if self._is_due():
                items, self._items = self._items, []
                self._flushed_at = time.monotonic()
        if self._write(items):
            return True
        self._obey()
        self._watch(time.monotonic())
        return False

    def _is_due(self) -> bool:
        """Whether to write what waits: every so often, but an end waits for nothing."""
        if not self._items:
            return False
        rested = time.monotonic() - self._flushed_at >= FLUSH_SECONDS
        return rested or any(isinstance(item, Ending) for item in self._items)

    def _write(self, items: Sequence[Item]) -> bool:
        waiting: list[Progress] = []
        kept: list[Kept] = []
        for item in items:
            if isinstance(item, Progress):
                waiting.append(item)
            elif isinstance(item, Kept):
                kept.append(item)
            else:
                self._insist(partial(self._append, waiting, durable=True))
                self._leave_if_superseded()
                self._keep(kept)
                waiting, kept = [], []
                if isinstance(item, Ending):
                    return self._finish(item)
                self._insist(partial(self.checkpoints.write, self.claim, item))
        if waiting or time.monotonic() - self._beaten_at > HEARTBEAT_SECONDS:
            self._insist(partial(self._append, waiting))
        else:
            self._insist(self._ask)
        self._leave_if_superseded()
        self._keep(kept)
        return False

    def _insist(self, write: Callable[[], T]) -> T:
        """Write, as soon as that is possible. Any write can be repeated: what is there is skipped or replaced whole."""
        result = insist(write, self._wait)
        if self._blocked:
            logger.warning("job %d, attempt %d goes on", self.job_id, self.attempt)
            self._block(False)
        return result

    def _wait(self, error: Exception) -> None:
        """Hold training, keep the lease if so much is possible, and leave when the job is not wanted any more."""
        if not self._blocked:
            logger.warning("job %d, attempt %d waits: %s", self.job_id, self.attempt, error)
            self._block(True)
        try:
            self._append(())
        except (StoreError, OSError):
            with suppress(StoreError):
                self._ask()
        if self.wants in ("stop", "superseded"):
            os._exit(EXIT_SUPERSEDED)  # the engine says so in the store when that is possible

    def _block(self, blocked: bool) -> None:
        with self._changed:
            self._blocked, self._moved_at = blocked, time.monotonic()
            self._changed.notify_all()

    def _ask(self) -> None:
        self.wants = self.store.orders(self.job_id, self.attempt)

    def _keep(self, kept: Sequence[Kept]) -> None:
        weights, of = self.store.weights, self.claim.identity
        for one in kept:
            self._insist(partial(weights.keep, self.job_id, one.step, one.parameters, of, self.attempt))

    def _append(self, waiting: Sequence[Progress], *, durable: bool = False) -> None:
        last = waiting[-1] if waiting else None
        self.wants = self.store.append(
            self.job_id,
            self.attempt,
            [record for item in waiting for record in item.records],
            step=last.step if last else None,
            steps_per_second=last.steps_per_second if last else self._idle_rate(),
            seconds=_summed([item.seconds for item in waiting]),
            durable=durable,
        )
        self._beaten_at = time.monotonic()

    def _idle_rate(self) -> float | None:
        """No steps a second, where training waits or has stood still for long; else None, for the last that was measured."""
        usual = min(max(IDLE_SECONDS, IDLE_TIMES * self._longest), MOST_IDLE_SECONDS)
        still = time.monotonic() - self._moved_at > min(usual, self._patience / 2)
        return 0.0 if (still or self._blocked) and self.claim.kind == "train" else None

    def _finish(self, ending: Ending) -> bool:
        told = {"error": ending.error, "traceback": ending.traceback}
        finish = partial(self.store.finish, self.job_id, self.attempt, ending.outcome, **told)
        if self._insist(finish) and ending.outcome in ("done", "failed"):  # else it is the successor's
            with suppress(OSError):  # the engine sweeps what is left
                self.checkpoints.remove(self.job_id)
        return True

    def _obey(self) -> None:
        self._leave_if_superseded()
        if self.wants == "stop":
            self._finish(Ending(outcome="stopped"))
            os._exit(0)

    def _watch(self, now: float) -> None:
        """Fail a job whose training has made no step for long, and say where it hangs."""
        frozen, self._looked_at = now - self._looked_at > FROZEN_SECONDS, now
        if frozen:
            self._moved_at = now
        if now - self._moved_at < self._patience:
            return
        stack = "".join(tracebacks.format_stack(sys._current_frames()[self._training]))
        minutes = f"{self._patience / 60:g} minutes"
        error = f"The training process made no step for {minutes} (DROPVIZ_STEP_MINUTES), so it was ended."
        self._finish(Ending(outcome="failed", error=error, traceback=stack))
        os._exit(0)

    def _leave_if_superseded(self) -> None:
        if self.wants == "superseded":
            os._exit(EXIT_SUPERSEDED)


def _summed(tables: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(table.get(name, 0.0) for table in tables) for table in tables for name in table}
