"""One reader per watched experiment: it reads only new points, and all viewers share what it serialized."""

from __future__ import annotations

import json
import secrets
import time
from functools import partial
from typing import Any

from dropviz.charts import Subject
from dropviz.experiment import evaluation_interval
from dropviz.store import Experiment, SnapshotRow, Store
from dropviz.web.aggregate import Aggregate, stride_of
from dropviz.web.arrays import Entry, Index, surface, travelling
from dropviz.web.feed import Cursor, Feed
from dropviz.web.payload import NoArray
from dropviz.web.progress import progress
from dropviz.web.story import story

MOST_ARRAYS = 64
NOBODY = "No engine is at work at the moment. What waits begins as soon as one is, and what ran goes on."
LOOK_SECONDS = 0.25  # however many viewers, the store is asked at most this often


class Reader(Feed):
    """Reads one experiment."""

    def __init__(self, store: Store, view_id: str) -> None:
        super().__init__()
        self.store, self.view_id = store, view_id
        self.experiment: Experiment = store.experiment(view_id)
        self._looked = float("-inf")
        self._start_over()

    def arrays(self, kind: str, step: int) -> tuple[bytes, bool]:
        """Arm → its array of this kind at this step; see ``Feed``."""
        with self._lock:
            self._refresh()
            arms = list(self._places)
            there = [arms[arm] for arm, *entry in self._index.entries if entry == [kind, step]]
            if not there:
                raise NoArray(kind, step)
            key = (kind, step, len(there))
            if key not in self._arrays:
                while len(self._arrays) >= MOST_ARRAYS:
                    del self._arrays[next(iter(self._arrays))]
                seeds = {job.id: job.seeds for job in self.experiment.jobs}
                find = partial(self._stored, step)
                found = {arm: travelling(kind, self._places[arm], seeds, find) for arm in there}
                self._arrays[key] = json.dumps(found, separators=(",", ":"), allow_nan=False).encode()
            return self._arrays[key], len(there) == len(arms)

    def _stored(self, step: int, job_id: int, name: str) -> SnapshotRow:
        measured_by = [refresh for refresh, measured in self._refreshes.items() if measured == job_id]
        for job in (job_id, *measured_by):
            if found := self.store.snapshot_at(job, name, step):
                return found
        raise LookupError(f"{name} of job {job_id} at step {step} is gone")

    def _start_over(self) -> None:
        """Forget all that was read; what is there now is read again, and put in order."""
        experiment, task = self.experiment, self.experiment.spec.data.task
        places: dict[str, list[tuple[int, int]]] = {arm: [] for arm in experiment.spec.arms}
        for result in sorted(experiment.results, key=lambda result: result.seed):
            places[result.arm].append((result.job_id, result.position))
        self._places = places
        self._index = Index(places)
        self._arrays: dict[tuple[str, int, int], bytes] = {}
        self._aggregate = Aggregate(
            places,
            stride=stride_of(experiment.spec.observe.evaluations),
            interval=evaluation_interval(experiment.spec),
            last_step=experiment.spec.train.steps,
            score=task.score,
        )
        self._pictured = {arm: found[0][0] for arm, found in places.items() if found}
        self._picture = "sample" if task.kind == "language" else "surface"
        self._pictures: dict[str, tuple[int, dict[str, Any]]] = {}  # arm → number of the record, what travels
        # The places of rows that came at once, the arm whose picture is new, or an array that is there.
        self._events: list[range | str | Entry] = []
        self._after = {job.id: -1 for job in experiment.jobs}
        self._after_arrays = dict(self._after)
        self._read = {job.id: -1 for job in experiment.jobs}  # the revision at which its points were read
        self._epoch = secrets.token_hex(4)
        self._refreshes = self._finished_refreshes()
        self._epochs = _epochs(experiment)
        self._revision = -1
        self._bodies = {}
        self._progress = b"{}"
        self._story: dict[str, Any] = {}

    def _refresh(self) -> None:
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        revision = self.store.revision(self.view_id)
        if revision != self._revision:
            try:
                self._catch_up(revision)
            except Exception:
                self._start_over()  # whatever it had got half of is read again
                raise
        state = self.experiment.state
        position = self.store.queue_position(self.view_id) if state == "queued" else 0
        trouble = self._trouble() if state in ("queued", "stalled") else ""
        moving = progress(self.experiment, position, self.store.now(), trouble)
        self._progress = json.dumps(moving, separators=(",", ":")).encode()

    def _trouble(self) -> str:
        """Why nothing begins: what is wrong with the store, or that nobody works."""
        if trouble := self.store.trouble():
            return trouble
        now = self.store.now()
        return "" if any(not worker.silent(now) for worker in self.store.workers()) else NOBODY

    def _catch_up(self, revision: int) -> None:
        self.experiment = self.store.refreshed(self.experiment)
        taken_back = _epochs(self.experiment) != self._epochs
        if taken_back or self._finished_refreshes() != self._refreshes:
            self._start_over()  # a resumed attempt took points back, or a refresh put some between
        self._read_points()
        if self.experiment.spec.data.planar or self._picture == "sample":
            self._read_pictures()
        failed = {job.arm for job in self.experiment.jobs if job.state == "failed"}
        self._story = story(self.experiment.spec, self._aggregate, state=self.experiment.state, failed=failed)
        self._bodies.clear()
        self._revision = revision

    def _read_points(self) -> None:
        rows, entries = len(self._aggregate.rows), len(self._index.entries)
        for job in self.experiment.jobs:
            if job.revision == self._read[job.id]:
                continue
            points = self.store.points(job.id, self._after[job.id])
            names = self.store.snapshot_names(job.id, self._after_arrays[job.id])
            if points:
                self._aggregate.add(job.id, points)
                self._after[job.id] = points[-1].seq
            if names:
                self._index.add(job.id, names)
                self._after_arrays[job.id] = names[-1].seq
            self._read[job.id] = job.revision
        if rows == 0 and self._refreshes:
            for refresh, measured in self._refreshes.items():
                self._aggregate.add(measured, self.store.points(refresh))
                self._index.add(measured, self.store.snapshot_names(refresh))
            self._aggregate.sort()
        if new := range(rows, len(self._aggregate.rows)):
            self._events.append(new)
        self._events += self._index.entries[entries:]

    def _finished_refreshes(self) -> dict[int, int]:
        """The refreshes on request that are done → the job whose weights each measured."""
        found = self.store.refresh_jobs([job.id for job in self.experiment.jobs])
        return {job.id: job.weights_of for job in found if job.state == "done" and job.weights_of is not None}

    def _read_pictures(self) -> None:
        for arm, job_id in self._pictured.items():
            newest = self.store.snapshot(job_id, self._picture)
            if newest is None or newest.seq == self._pictures.get(arm, (-1,))[0]:
                continue
            if self._picture == "surface":
                found = surface(newest)
            else:
                found = _sample(newest, self.store.snapshot(job_id, "prompt"))
            self._pictures[arm] = newest.seq, found
            self._events.append(arm)

    def _count(self) -> int:
        return len(self._events)

    def _payload(self, start: int, *, reset: bool) -> dict[str, Any]:
        new = self._events[start:]
        pictured = dict.fromkeys(event for event in new if isinstance(event, str))
        return {
            "cursor": str(Cursor(self._epoch, len(self._events))),
            "reset": reset,
            "state": shown_state(self.experiment),
            "seeds": Subject.of(self.experiment.spec).band,
            "arms": self._aggregate.arms,
            "metrics": self._aggregate.metrics,
            "rows": [
                row
                for event in new
                if isinstance(event, range)
                for row in self._aggregate.rows[event.start : event.stop]
            ],
            "arrays": [event for event in new if isinstance(event, tuple)],
            "surfaces": {},
            "samples": {},
            f"{self._picture}s": {arm: self._pictures[arm][1] for arm in pictured},
            **self._story,
        }


def shown_state(experiment: Experiment) -> str:
    """The state as viewers see it: ``cached`` where everything was there before anybody asked."""
    cached = experiment.state == "done" and all(job.cached for job in experiment.jobs)
    return "cached" if cached else experiment.state


def _epochs(experiment: Experiment) -> tuple[tuple[int, int], ...]:
    return tuple((job.id, job.epoch) for job in experiment.jobs)


def _sample(snapshot: SnapshotRow, prompt: SnapshotRow | None) -> dict[str, Any]:
    """Generated text, cut where the network takes over from what it was given."""
    text = snapshot.array.tobytes().decode(errors="replace")
    given = prompt.array.tobytes().decode(errors="replace") if prompt else ""
    given = given if text.startswith(given) else ""
    return {"step": snapshot.step, "prompt": given, "text": text.removeprefix(given)}
