"""The thread that writes for a child: points, heartbeats, weights, checkpoints, the end. Training never waits for the store.

Everything goes through one queue, so a checkpoint is published only after the points and weights that came before it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dropviz.engine.checkpoints import Checkpoint, Checkpoints
from dropviz.store import Claim, Point, SnapshotRow, Store, StoreError
from dropviz.store.records import Orders, Outcome

FLUSH_SECONDS = 0.15
ORDERS_SECONDS = 0.04  # how often it asks whether the job is to stop: a small read of a file,
SHARED_ORDERS_SECONDS = 0.2  # or of a server that children of many machines ask
HEARTBEAT_SECONDS = 1.0
EXIT_SUPERSEDED = 3
EXIT_NO_STORE = 4

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
        self._beaten_at = time.monotonic()
        self._flushed_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand over records, weights, a checkpoint, or the end; returns at once."""
        with self._changed:
            self._items.append(item)
            if (
                self._is_due()
            ):  # else it looks by itself soon: waking it for each point would cost training more
                self._changed.notify()

    def end(self, ending: Ending) -> None:
        """Hand over the end and wait until all is written."""
        self.put(ending)
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._turn():
                pass
        except (
            StoreError,
            OSError,
        ):  # nothing can be recorded any more, not even why: the engine tries again
            logger.exception("nothing can be recorded any more")
            os._exit(EXIT_NO_STORE)

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
                self._append(waiting, durable=True)
                self._leave_if_superseded()
                self._keep(kept)
                waiting, kept = [], []
                if isinstance(item, Ending):
                    return self._finish(item)
                self.checkpoints.write(self.claim, item)
        if waiting or time.monotonic() - self._beaten_at > HEARTBEAT_SECONDS:
            self._append(waiting)
        else:
            self.wants = self.store.orders(self.job_id, self.attempt)
        self._leave_if_superseded()
        self._keep(kept)
        return False

    def _keep(self, kept: Sequence[Kept]) -> None:
        for one in kept:
            weights, of = self.store.weights, self.claim.identity
            weights.keep(self.job_id, one.step, one.parameters, of, self.attempt)

    def _append(self, waiting: Sequence[Progress], *, durable: bool = False) -> None:
        last = waiting[-1] if waiting else None
        self.wants = self.store.append(
            self.job_id,
            self.attempt,
            [record for item in waiting for record in item.records],
            step=last.step if last else None,
            steps_per_second=last.steps_per_second if last else None,
            seconds=_summed([item.seconds for item in waiting]),
            durable=durable,
        )
        self._beaten_at = time.monotonic()

    def _finish(self, ending: Ending) -> bool:
        finished = self.store.finish(
            self.job_id, self.attempt, ending.outcome, error=ending.error, traceback=ending.traceback
        )
        if finished and ending.outcome in ("done", "failed"):  # else it is the successor's
            self.checkpoints.remove(self.job_id)
        return True

    def _obey(self) -> None:
        self._leave_if_superseded()
        if self.wants == "stop":
            self._finish(Ending(outcome="stopped"))
            os._exit(0)

    def _leave_if_superseded(self) -> None:
        if self.wants == "superseded":
            os._exit(EXIT_SUPERSEDED)


def _summed(tables: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(table.get(name, 0.0) for table in tables) for table in tables for name in table}
