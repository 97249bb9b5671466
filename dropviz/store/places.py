"""Who waits where: the places in the queue, worked out once for all who ask, and anew when the queue has moved."""

from __future__ import annotations

import threading

from sqlalchemy import Connection, bindparam, select

from dropviz.store.jobs import fairest_queued
from dropviz.store.schema import experiment_jobs, jobs, queue

# Built once: everybody who waits asks for it four times a second.
_MINE = (
    select(jobs.c.id, jobs.c.state, select(queue.c.revision).scalar_subquery().label("moved"))
    .select_from(experiment_jobs.join(jobs))
    .where(experiment_jobs.c.experiment_id == bindparam("view_id"))
)


class Places:
    """The order in which queued jobs will be claimed; safe to share between threads.

    The order is that of its owners' use of the slots, which all halve together: time alone changes nothing in it. So it is
    the same until some job changes its state, and that advances the queue's revision.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._revision, self._places = -1, dict[int, int]()

    def of(self, connection: Connection, view_id: str, now: float) -> int:
        """How many jobs of others come before an experiment's first; 0 when one of its own runs or is next."""
        mine = connection.execute(_MINE, {"view_id": view_id}).all()
        if not mine or any(job.state == "running" for job in mine):
            return 0
        with self._lock:
            if mine[0].moved != self._revision:
                order = fairest_queued(connection, now)
                self._places = {job: place for place, job in enumerate(order)}
                self._revision = mine[0].moved
            return min((self._places[job.id] for job in mine if job.id in self._places), default=0)
