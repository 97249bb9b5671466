"""The last value of each metric, read from the end of the series: what comparisons are made of."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Set

import numpy as np
from sqlalchemy import Connection, select

from dropviz.store.records import UnknownExperiment
from dropviz.store.schema import experiment_results, experiments, jobs, points, results

Finals = dict[str, dict[str, dict[int, float]]]

MOST_ROWS = 2000  # from the end of a series: a metric that is older than that was not measured at the end
MOST_JOBS = 4096  # that are remembered


class LastValues:
    """Remembers what it read, as the series of a job that is done never changes again."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, dict[str, np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()

    def of_experiment(self, connection: Connection, view_id: str, metrics: Set[str] | None = None) -> Finals:
        """Arm → metric → seed → the last value, of the results whose jobs are done; of these metrics alone, if they are named.

        Raises:
            UnknownExperiment: No experiment has this id.
        """
        if connection.execute(select(experiments.c.id).where(experiments.c.id == view_id)).first() is None:
            raise UnknownExperiment(view_id)
        query = (
            select(experiment_results.c.arm, results.c.seed, results.c.job_id, results.c.position)
            .join(results, results.c.id == experiment_results.c.result_id)
            .join(jobs, jobs.c.id == results.c.job_id)
            .where(experiment_results.c.experiment_id == view_id, jobs.c.state == "done")
            .order_by(experiment_results.c.arm, results.c.seed)
        )
        found: Finals = {}
        for row in connection.execute(query).all():
            last = self._of_job(connection, row.job_id)
            for metric in last if metrics is None else metrics & last.keys():
                values = last[metric]
                found.setdefault(row.arm, {}).setdefault(metric, {})[row.seed] = float(values[row.position])
        return found

    def _of_job(self, connection: Connection, job_id: int) -> dict[str, np.ndarray]:
        """Metric → the last value of each seed."""
        with self._lock:
            if job_id in self._known:
                self._known.move_to_end(job_id)
                return self._known[job_id]
        query = select(points.c.name, points.c["values"]).where(points.c.job_id == job_id)
        last: dict[str, np.ndarray] = {}
        for name, values in connection.execute(query.order_by(points.c.seq.desc()).limit(MOST_ROWS)):
            last.setdefault(name, np.frombuffer(values, dtype="<f8"))
        with self._lock:
            self._known[job_id] = last
            while len(self._known) > MOST_JOBS:
                self._known.popitem(last=False)
        return last
