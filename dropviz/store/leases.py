"""The engine's side of a job: claim it, keep the lease alive, hand it back. Every write carries the attempt.

A write of a superseded attempt changes nothing and is told so. An attempt is over as soon as the job has left the
state ``running``: a child that was given up for dead cannot write into its successor's series.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from sqlalchemy import Connection, Row, delete, insert, select, update

from dropviz.store import jobs as moves
from dropviz.store.records import Claim, Lease, Orders, Outcome, Worker
from dropviz.store.schema import jobs, workers

MOST_RETRIES = 2
UNMEASURED_SECONDS = 60.0  # of an attempt, to start and to end


def claim(connection: Connection, worker_id: str, now: float) -> Claim | None:
    """Take the fairest queued job, or nothing when the queue is empty."""
    chosen = moves.fairest(connection, now)
    if chosen is None:
        return None
    job = connection.execute(select(jobs).where(jobs.c.id == chosen)).one()
    moves.change(
        connection,
        job.id,
        state="running",
        attempt=job.attempt + 1,
        worker_id=worker_id,
        claimed_at=now,
        heartbeat_at=now,
        pid=None,
        steps_per_second=None,
    )
    moves.touch_queue(connection)
    return Claim(
        job_id=job.id,
        attempt=job.attempt + 1,
        spec=job.spec,
        arm=job.arm,
        seeds=tuple(json.loads(job.seeds)),
        advance_once=job.advance_once,
        kind=job.kind,
        weights_of=job.weights_of,
        weights_step=job.weights_step,
    )


def orders(connection: Connection, job_id: int, attempt: int, *, hold: bool = False) -> Orders:
    """What a child is to do: run, pause, stop, or go away because it was superseded.

    Args:
        connection: In a transaction.
        job_id, attempt: Whose.
        hold: Let nobody change the job's row until the transaction ends, so that the answer stays true as long: for those who
            write without being alone (see ``database.write``).
    """
    query = select(jobs.c.wants).where(
        jobs.c.id == job_id, jobs.c.attempt == attempt, jobs.c.state == "running"
    )
    if hold:
        query = query.with_for_update(key_share=True)
    return connection.execute(query).scalar() or "superseded"


def finish(
    connection: Connection,
    job_id: int,
    attempt: int,
    outcome: Outcome,
    now: float,
    *,
    error: str | None = None,
    traceback: str | None = None,
) -> bool:
    """End an attempt; returns False, and changes nothing, if it was superseded.

    Where a job goes also depends on what is wanted of it by now: one that stopped is queued again if somebody
    joined it in the meantime.
    """
    job = _running(connection, job_id, attempt)
    if job is None:
        return False
    moves.charge(connection, job.owner, _held(job, now), now)
    if outcome == "crashed" and job.wants != "stop" and job.retries >= MOST_RETRIES:
        outcome, error = (
            "failed",
            f"{error}, {job.retries + 1} times: see the log; fewer seeds need less memory.",
        )
    elif outcome == "crashed":
        moves.change(connection, job_id, retries=job.retries + 1)
    if outcome in ("done", "failed"):
        texts = {"error": error, "traceback": traceback} if outcome == "failed" else {}
        # PostgreSQL keeps no text with a zero in it, which an error message may quote.
        values = {name: text and text.replace("\0", "�") for name, text in texts.items()}
        moves.finish(connection, job_id, outcome, now, **values)
    else:
        _wait_or_stop(connection, job, outcome, now)
    moves.touch_queue(connection)
    return True


def _held(job: Row, now: float) -> float:
    """Slot-seconds of an attempt: hardly more than what the job measured by its own clock, for the machine's may have jumped."""
    measured = job.training_seconds + job.evaluation_seconds + job.statistics_seconds
    return min(max(0.0, now - job.claimed_at), measured + UNMEASURED_SECONDS)


def _wait_or_stop(connection: Connection, job: Row, outcome: Outcome, now: float) -> None:
    if job.wants == "stop":
        moves.finish(connection, job.id, "stopped", now)
        return
    interrupted = outcome in ("crashed", "released")
    stepping = interrupted and job.advance_once and job.wants == "pause"
    values = {"state": "queued" if job.wants == "run" or stepping else "paused", "advance_once": stepping}
    if not interrupted:
        values["queued_at"] = moves.ticket(
            connection, now
        )  # an interrupted job keeps its place; one that was paused joins the end
    moves.change(connection, job.id, pid=None, steps_per_second=None, **values)


def running_of(connection: Connection) -> list[Lease]:
    """The running jobs, with what is wanted of them and when they were last heard of."""
    columns = ("id", "attempt", "wants", "heartbeat_at", "pid", "worker_id")
    query = select(*(jobs.c[name] for name in columns))
    return [
        Lease(
            job_id=row.id,
            attempt=row.attempt,
            wants=row.wants,
            heartbeat_at=row.heartbeat_at,
            begun=row.pid is not None,
            worker_id=row.worker_id,
        )
        for row in connection.execute(query.where(jobs.c.state == "running"))
    ]


def release(connection: Connection, now: float, workers_gone: Collection[str] | None = None) -> int:
    """Take the running jobs of engines that are gone from their children, and forget these engines; of all by default."""
    orphans = [
        lease for lease in running_of(connection) if workers_gone is None or lease.worker_id in workers_gone
    ]
    for lease in orphans:
        finish(connection, lease.job_id, lease.attempt, "released", now)
    gone = delete(workers)
    connection.execute(gone if workers_gone is None else gone.where(workers.c.id.in_(workers_gone)))
    return len(orphans)


def beat(connection: Connection, worker: Worker, now: float) -> None:
    """Register an engine, or say that it is alive."""
    known = update(workers).where(workers.c.id == worker.id).values(heartbeat_at=now, slots=worker.slots)
    if not connection.execute(known).rowcount:
        connection.execute(insert(workers).values(vars(worker) | {"heartbeat_at": now}))


def leave(connection: Connection, worker_id: str) -> None:
    """Forget an engine that ends, or that has been silent; its jobs have leases of their own."""
    connection.execute(delete(workers).where(workers.c.id == worker_id))


def _running(connection: Connection, job_id: int, attempt: int) -> Row | None:
    query = select(jobs).where(jobs.c.id == job_id, jobs.c.attempt == attempt, jobs.c.state == "running")
    return connection.execute(query).first()
