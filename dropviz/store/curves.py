"""One metric of one job over all of its steps, for comparisons: of what has ended it is read once."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from sqlalchemy import select

from dropviz.store.database import Database
from dropviz.store.records import FINAL, Job
from dropviz.store.schema import points

MOST_BYTES = 64 * 2**20  # of series that are remembered
MOST_JOBS = 4096  # whose names are

Series = tuple[np.ndarray, np.ndarray]  # steps (n,), values (n, seeds of the job)


class Curves:
    """Reads the points of a name, and remembers those of jobs that have ended; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[int, int, str], Series] = OrderedDict()
        self._names: OrderedDict[tuple[int, int], tuple[str, ...]] = OrderedDict()
        self._bytes = 0

    def series(self, job: Job, name: str) -> Series:
        """Steps (n,) and values (n, seeds); none where the job has not measured it.

        Cost: a look at every point of the job, once.
        """
        key = (job.id, job.epoch, name)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        query = select(points.c.step, points.c["values"])
        query = query.where(points.c.job_id == job.id, points.c.name == name).order_by(points.c.seq)
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        steps = np.array([row[0] for row in rows], dtype=np.int64)
        values = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f8").reshape(
            len(rows), len(job.seeds)
        )
        found = steps, values
        if job.state in FINAL:
            self._remember(key, found)
        return found

    def names(self, job: Job) -> tuple[str, ...]:
        """The metrics that a job has points of, in order of their names."""
        key = (job.id, job.epoch)
        with self._lock:
            if key in self._names:
                self._names.move_to_end(key)
                return self._names[key]
        query = select(points.c.name).where(points.c.job_id == job.id).distinct()
        with self.database.read() as connection:
            found = tuple(sorted(connection.execute(query).scalars()))
        if job.state in FINAL:
            with self._lock:
                self._names[key] = found
                while len(self._names) > MOST_JOBS:
                    self._names.popitem(last=False)
        return found

    def _remember(self, key: tuple[int, int, str], found: Series) -> None:
        with self._lock:
            self._known[key] = found
            self._bytes += sum(array.nbytes for array in found)
            while self._bytes > MOST_BYTES and len(self._known) > 1:
                _, gone = self._known.popitem(last=False)
                self._bytes -= sum(array.nbytes for array in gone)
