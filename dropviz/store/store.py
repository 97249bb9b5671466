"""``Store``: the one door to the database. Each method is one transaction; what it does is in its own module."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Self

import numpy as np

from dropviz import settings
from dropviz.duration import cost_key
from dropviz.experiment import ExperimentSpec
from dropviz.store import imports, jobs, leases, limits, measuring, points, reading, submission
from dropviz.store.classes import Classes
from dropviz.store.curves import Curves
from dropviz.store.database import Database, open_database
from dropviz.store.finals import Finals, LastValues
from dropviz.store.imports import ImportedExperiment
from dropviz.store.overview import Overview
from dropviz.store.places import Places
from dropviz.store.records import (
    Action,
    Claim,
    Estimate,
    Experiment,
    ExperimentSummary,
    Job,
    Lease,
    Orders,
    Origin,
    Outcome,
    Point,
    SnapshotName,
    SnapshotRow,
    Worker,
)
from dropviz.store.runs import Runs
from dropviz.store.sweeps import Sweeps
from dropviz.store.weights import Weights


class Store:
    """Experiments, jobs and points; safe to share between threads, opened anew in each process."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.weights = Weights(database.beside(".weights"))
        self.classes = Classes(database)
        self.sweeps = Sweeps(database)
        self.runs = Runs(database)
        self.curves = Curves(database)
        self.overview = Overview(database)
        self._last_values = LastValues()
        self._places = Places()

    @classmethod
    def open(cls, url: str | Path | None = None, *, verify: bool = True) -> Self:
        """Open, create or upgrade a store.

        Args:
            url: ``sqlite:///PATH``, a path, or ``postgresql+psycopg://…``; by default what the settings say.
            verify: Check a file's integrity first.

        Raises:
            StoreError: It is corrupt, foreign, from a newer version, cannot be reached or cannot be written.
        """
        return cls(open_database(url if url is not None else settings.store_url(), verify=verify))

    def close(self) -> None:
        """Close the connections; the object is of no use afterwards."""
        self.database.engine.dispose()

    def now(self) -> float:
        """Seconds since 1970 by the clock that the store's times are of: another machine's, where several share it."""
        return self.database.now()

    def trouble(self) -> str:
        """Why nothing can be recorded at the moment, in a sentence for visitors; empty where nothing is known to be wrong."""
        return self.database.trouble()

    # For those who ask and watch

    def submit(
        self,
        spec: ExperimentSpec,
        *,
        owner: str = "",
        origin: Origin = "lab",
        class_id: str | None = None,
        fresh: bool = False,
    ) -> str:
        """Start an experiment and return its view id.

        Results that are done, or under way, are joined by key; the rest is queued in blocks of up to 16 seeds of one
        arm. A ``fresh`` experiment computes everything anew and is joined by nobody.
        """
        request = submission.prepare(spec, owner, origin, class_id, fresh=fresh)
        with self.database.write() as connection:
            return submission.submit(connection, request, self.database.now())

    def keep_import(self, imported: ImportedExperiment, *, owner: str = "") -> str:
        """Keep an experiment that was computed elsewhere and return its view id; its results are nobody else's.

        Raises:
            QueueFull: The disk is nearly full, or somebody brings files too fast.
        """
        limits.check_disk(self.weights.folder.parent)
        with self.database.write() as connection:
            return imports.keep(connection, imported, owner, self.database.now())

    def provenance(self, experiment: Experiment) -> dict[str, str]:
        """What computed an imported experiment, and when; empty of any other one."""
        if experiment.origin != "import":
            return {}
        found = self.snapshot(min(job.id for job in experiment.jobs), imports.PROVENANCE)
        return json.loads(found.array.tobytes()) if found else {}

    def experiment(self, view_id: str) -> Experiment:
        """An experiment with its jobs and results.

        Raises:
            UnknownExperiment: No experiment has this id.
        """
        with self.database.read() as connection:
            return reading.experiment(connection, view_id, self.database.now())

    def refreshed(self, known: Experiment) -> Experiment:
        """The same experiment as it is now, for less than ``experiment`` costs.

        Raises:
            UnknownExperiment: It is gone.
        """
        with self.database.read() as connection:
            return reading.refreshed(connection, known, self.database.now())

    def watch(self, view_id: str) -> None:
        """Say that somebody watches an experiment which is to stop when nobody does any more: a command line's."""
        with self.database.write(durable=False) as connection:
            jobs.watch(connection, view_id, self.database.now())

    def watched(self) -> dict[str, float]:
        """Such experiments that are under way → when they were last watched."""
        with self.database.read() as connection:
            return jobs.watched(connection)

    def revision(self, view_id: str) -> int:
        """A number that grows whenever anything visible of the experiment changes but its place in the queue; cheap to ask.

        Raises:
            UnknownExperiment: No experiment has this id.
        """
        with self.database.read() as connection:
            return reading.revision(connection, view_id, self.database.now())

    def request(self, view_id: str, action: Action) -> None:
        """Run, pause, stop or step an experiment.

        Raises:
            UnknownExperiment: No experiment has this id.
            ValueError: There is nothing left to run, or no such action.
        """
        with self.database.write() as connection:
            jobs.request(connection, view_id, action, self.database.now())

    def experiments(self, owner: str | None = None, limit: int = 50) -> list[ExperimentSummary]:
        """The newest experiments, of one owner or of all; of sweeps see ``sweeps``."""
        with self.database.read() as connection:
            return reading.summaries(connection, owner, limit, self.database.now())

    def points(self, job_id: int, after: int = -1) -> list[Point]:
        """The points of a job past a cursor; start over when the job's epoch has grown."""
        with self.database.read() as connection:
            return points.after(connection, job_id, after)

    def snapshot(self, job_id: int, name: str) -> SnapshotRow | None:
        """The newest array of this name, if there is one."""
        with self.database.read() as connection:
            return points.newest_array(connection, job_id, name)

    def snapshot_at(self, job_id: int, name: str, step: int) -> SnapshotRow | None:
        """The array of this name at this step, if there is one."""
        with self.database.read() as connection:
            return points.newest_array(connection, job_id, name, step)

    def snapshot_names(self, job_id: int, after: int = -1) -> list[SnapshotName]:
        """Which arrays a job has past a cursor; start over when the job's epoch has grown."""
        with self.database.read() as connection:
            return points.array_names(connection, job_id, after)

    def result_key(self, job_id: int) -> str:
        """The key that the first seed of a training job was asked for by."""
        with self.database.read() as connection:
            return reading.result_key(connection, job_id)

    def finals(self, view_id: str, metrics: Set[str] | None = None) -> Finals:
        """Arm → metric → seed → the last value, of the results whose jobs are done; for less than all points would cost.

        Args:
            view_id: The experiment.
            metrics: Those that are wanted; all by default.

        Raises:
            UnknownExperiment: No experiment has this id.
        """
        with self.database.read() as connection:
            return self._last_values.of_experiment(connection, view_id, metrics)

    def queue_position(self, view_id: str) -> int:
        """How many jobs come before this experiment's first one; 0 when it runs or is next."""
        with self.database.read() as connection:
            return self._places.of(connection, view_id, self.database.now())

    def workers(self) -> list[Worker]:
        """The engines that take jobs from this store."""
        with self.database.read() as connection:
            return reading.all_workers(connection)

    def job(self, job_id: int) -> Job | None:
        """One job, if it exists."""
        with self.database.read() as connection:
            return reading.job(connection, job_id)

    def live_jobs(self) -> list[Job]:
        """Every job that runs, waits or is paused, the running ones first."""
        with self.database.read() as connection:
            return reading.live_jobs(connection)

    def kept_steps(self, job_id: int) -> list[int]:
        """The steps at which a job's own weights are there, in order; those of another version of the program are not."""
        with self.database.read() as connection:
            of = reading.identity_of(connection, job_id)
        return [step for step in self.weights.steps(job_id) if self.weights.has(job_id, step, of)]

    def kept_weights(self, job_id: int, step: int) -> dict[str, np.ndarray]:
        """The stacked parameters (S, …) that a job had at a step, by name.

        Raises:
            ValueError: They are not there, or another version of the program kept them.
        """
        with self.database.read() as connection:
            of = reading.identity_of(connection, job_id)
        return self.weights.read(job_id, step, of)

    # Jobs that measure

    def request_estimate(self, spec: ExperimentSpec, owner: str = "") -> None:
        """Have measured what a spec costs here, unless that is known or under way."""
        key = cost_key(spec)
        with self.database.write() as connection:
            measuring.request_estimate(connection, spec, key, owner, self.database.now())

    def estimate(self, spec: ExperimentSpec) -> Estimate | None:
        """What is known of a spec's cost here; None where nobody asked."""
        with self.database.read() as connection:
            return measuring.estimate(connection, cost_key(spec))

    def request_refresh(self, view_id: str, arm: str, step: int, owner: str = "") -> None:
        """Have the whole spectrum measured at a step of an arm whose weights were kept, unless that is there or under way.

        Raises:
            UnknownExperiment: No experiment has this id.
            ValueError: The experiment has no such arm, or no weights of this step.
        """
        with self.database.write() as connection:
            measuring.request_refresh(
                connection, self.weights, view_id, arm, step, owner, self.database.now()
            )

    def refresh_jobs(self, job_ids: Collection[int]) -> list[Job]:
        """The refreshes on request of these jobs' weights, the oldest first; one that is done has its series by its own id."""
        with self.database.read() as connection:
            return measuring.refreshes(connection, job_ids)

    def expected_refresh(self, spec: ExperimentSpec, arm: str) -> float | None:
        """Seconds that a refresh on request of an arm will take, as far as that is known."""
        with self.database.read() as connection:
            return measuring.expected_refresh(connection, spec, arm, settings.slots())

    def stop_job(self, job_id: int) -> None:
        """Stop a job that measures.

        Raises:
            ValueError: There is no such job, or experiments want it.
        """
        with self.database.write() as connection:
            measuring.stop(connection, job_id, self.database.now())

    # For the engine

    def claim(self, worker_id: str) -> Claim | None:
        """Take the fairest queued job, or nothing when the queue is empty."""
        if not self.has_queued():
            return None  # no write lock for an empty queue
        with self.database.write() as connection:
            return leases.claim(connection, worker_id, self.database.now())

    def has_queued(self) -> bool:
        """Whether a job waits for a slot."""
        with self.database.read() as connection:
            return reading.has_queued(connection)

    def last_seq(self, job_id: int) -> int:
        """The number of a job's last point; −1 where there is none."""
        with self.database.read() as connection:
            return points.last_seq(connection, job_id)

    def begin(self, job_id: int, attempt: int, *, seq: int, step: int, pid: int, device: str) -> Orders:
        """Start an attempt from a checkpoint (seq −1: from nothing), dropping the points past it."""
        with self.database.write() as connection:
            return points.begin(
                connection, job_id, attempt, self.database.now(), seq=seq, step=step, pid=pid, device=device
            )

    def append(
        self,
        job_id: int,
        attempt: int,
        records: Sequence[Point | SnapshotRow] = (),
        *,
        step: int | None = None,
        steps_per_second: float | None = None,
        seconds: Mapping[str, float] | None = None,
        durable: bool = False,
    ) -> Orders:
        """Write new records and the heartbeat; records that are there already are skipped.

        ``seconds`` are added to what the job spent on ``training``, ``evaluation`` and ``statistics``.

        Returns:
            What the child is to do; ``superseded`` means that nothing was written.
        """
        with self.database.write(durable=durable, alone=False) as connection:
            return points.append(
                connection,
                job_id,
                attempt,
                records,
                self.database.now(),
                step=step,
                steps_per_second=steps_per_second,
                seconds=seconds or {},
            )

    def orders(self, job_id: int, attempt: int) -> Orders:
        """What a child is to do, without a write."""
        with self.database.read() as connection:
            return leases.orders(connection, job_id, attempt)

    def finish(
        self,
        job_id: int,
        attempt: int,
        outcome: Outcome,
        *,
        error: str | None = None,
        traceback: str | None = None,
    ) -> bool:
        """End an attempt; False, and nothing changed, if it was superseded."""
        with self.database.write() as connection:
            return leases.finish(
                connection, job_id, attempt, outcome, self.database.now(), error=error, traceback=traceback
            )

    def running(self) -> list[Lease]:
        """The running jobs, with what is wanted of them and when they were last heard of."""
        with self.database.read() as connection:
            return leases.running_of(connection)

    def release(self, workers: Collection[str] | None = None) -> int:
        """Take the running jobs of engines that are gone from their children, and forget these engines; returns how many.

        They are queued again, unless they are to pause or to stop. By default all are gone: only for an engine that starts
        and is the only one.
        """
        with self.database.write() as connection:
            return leases.release(connection, self.database.now(), workers)

    def beat(self, worker: Worker) -> None:
        """Register an engine, or say that it is alive."""
        with self.database.write(durable=False) as connection:
            leases.beat(connection, worker, self.database.now())

    def leave(self, worker_id: str) -> None:
        """Forget an engine that ends, or that has been silent."""
        with self.database.write() as connection:
            leases.leave(connection, worker_id)

    def finished_among(self, job_ids: Iterable[int]) -> set[int]:
        """Those of the given jobs that have ended or do not exist."""
        with self.database.read() as connection:
            return reading.finished_among(connection, job_ids)

    def failed_among(self, job_ids: Iterable[int]) -> set[int]:
        """Those of the given jobs that failed or do not exist."""
        with self.database.read() as connection:
            return measuring.failed_among(connection, job_ids)
