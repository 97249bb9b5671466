"""The states of a job, what the experiments attached to it want, and the moves between the two.

A job runs while any attached experiment wants run, else pauses while any wants pause, else stops. A queued or
paused job moves at once, here; a running one is moved by its child, which reads ``wants`` (see ``leases``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from dropviz.store.records import FINAL, LIVE, Action, UnknownExperiment
from dropviz.store.schema import experiment_jobs, experiments, jobs, queue, results, usage

USAGE_HALF_LIFE = 600.0
FORGOTTEN_SECONDS = 0.01


def request(connection: Connection, view_id: str, action: Action, now: float) -> None:
    """Record what an experiment wants and move its waiting jobs.

    Raises:
        UnknownExperiment: No experiment has this id.
        ValueError: The action is none of the four, or the experiment has nothing left to run.
    """
    if action not in ("run", "pause", "stop", "step"):
        raise ValueError(f"{action!r} is not an action: choose run, pause, stop or step.")
    if connection.execute(select(experiments.c.id).where(experiments.c.id == view_id)).first() is None:
        raise UnknownExperiment(view_id)
    attached = select(experiment_jobs.c.job_id).where(experiment_jobs.c.experiment_id == view_id)
    live = list(
        connection.execute(select(jobs.c.id).where(jobs.c.id.in_(attached), jobs.c.state.in_(LIVE))).scalars()
    )
    if action in ("run", "step") and not live:
        raise ValueError("This experiment has ended, so there is nothing left to run: start a new one.")
    if live or action == "stop":
        wants = "pause" if action == "step" else action
        values = {"wants": wants, "revision": experiments.c.revision + 1}
        connection.execute(update(experiments).where(experiments.c.id == view_id).values(values))
    settle_wants(connection, live, now)
    if action == "step":
        _step(connection, live, now)
    touch_queue(connection)


def watch(connection: Connection, view_id: str, now: float) -> None:
    """Note that an experiment is watched; from then on it has to be."""
    connection.execute(update(experiments).where(experiments.c.id == view_id).values(watched_at=now))


def watched(connection: Connection) -> dict[str, float]:
    """Experiments that have to be watched and are under way → when they last were."""
    query = (
        select(experiments.c.id, experiments.c.watched_at)
        .join(experiment_jobs, experiment_jobs.c.experiment_id == experiments.c.id)
        .join(jobs, jobs.c.id == experiment_jobs.c.job_id)
        .where(experiments.c.watched_at.is_not(None), experiments.c.wants != "stop", jobs.c.state.in_(LIVE))
        .distinct()
    )
    return {row.id: row.watched_at for row in connection.execute(query)}


def settle_wants(connection: Connection, job_ids: Sequence[int], now: float) -> None:
    """Work out anew what the attached experiments want of these jobs, and move those that no child runs."""
    for job in _live_jobs(connection, job_ids):
        wanted = select(experiments.c.wants).join(
            experiment_jobs, experiment_jobs.c.experiment_id == experiments.c.id
        )
        votes = set(connection.execute(wanted.where(experiment_jobs.c.job_id == job.id)).scalars())
        wants = next((choice for choice in ("run", "pause") if choice in votes), "stop")
        if wants != job.wants:
            change(connection, job.id, wants=wants)
        if wants == "run" and job.advance_once:
            change(connection, job.id, advance_once=False)
        if job.state in ("queued", "paused"):
            _move_waiting(connection, job, wants, now)


def _move_waiting(connection: Connection, job: Row, wants: str, now: float) -> None:
    if wants == "stop":
        finish(connection, job.id, "stopped", now)
    elif wants == "run" and job.state == "paused":
        change(connection, job.id, state="queued", queued_at=ticket(connection, now))
    elif wants == "pause" and job.state == "queued" and not job.advance_once:
        change(connection, job.id, state="paused")


def _step(connection: Connection, job_ids: Sequence[int], now: float) -> None:
    for job in _live_jobs(connection, job_ids):
        if job.state == "paused":
            queued_at = ticket(connection, now)
            change(connection, job.id, state="queued", queued_at=queued_at, advance_once=True)


def finish(connection: Connection, job_id: int, state: str, now: float, **values: Any) -> None:
    """Move a job to a state that it never leaves; unsuccessful results make room for new attempts at their key."""
    assert state in FINAL
    change(connection, job_id, state=state, finished_at=now, pid=None, advance_once=False, **values)
    if state != "done":
        connection.execute(update(results).where(results.c.job_id == job_id).values(reusable=False))


def change(connection: Connection, job_id: int, **values: Any) -> None:
    """Set columns of a job and advance its revision."""
    values["revision"] = jobs.c.revision + 1
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))


def ticket(connection: Connection, now: float) -> float:
    """The place at the end of the queue, as a time: after all that wait, even if the clock was set back meanwhile."""
    latest = connection.execute(select(func.max(jobs.c.queued_at)).where(jobs.c.state == "queued")).scalar()
    return now if latest is None else max(now, latest)


def touch_queue(connection: Connection) -> None:
    """Say that some job changed its state, which may change anybody's place in the queue."""
    connection.execute(update(queue).values(revision=queue.c.revision + 1))


def charge(connection: Connection, owner: str, slot_seconds: float, now: float) -> None:
    """Add to what an owner used lately."""
    used = decayed_usage(connection, now)
    forgotten = [name for name, seconds in used.items() if seconds < FORGOTTEN_SECONDS and name != owner]
    connection.execute(delete(usage).where(usage.c.owner.in_(forgotten)))
    values = {"slot_seconds": used.get(owner, 0.0) + slot_seconds, "updated_at": now}
    if owner in used:
        connection.execute(update(usage).where(usage.c.owner == owner).values(values))
    else:
        connection.execute(insert(usage).values(owner=owner, **values))


def decayed_usage(connection: Connection, now: float) -> dict[str, float]:
    """Owner → slot-seconds used lately, halved every ten minutes; forgotten by a clock that was set back."""
    rows = connection.execute(select(usage)).all()
    return {
        row.owner: row.slot_seconds * 0.5 ** (abs(now - row.updated_at) / USAGE_HALF_LIFE) for row in rows
    }


def fairest(connection: Connection, now: float) -> int | None:
    """The first of ``fairest_queued``, for less: only the first job of each owner is looked at."""
    turn = func.row_number().over(partition_by=jobs.c.owner, order_by=(jobs.c.queued_at, jobs.c.id))
    waiting = select(jobs.c.id, jobs.c.owner, jobs.c.queued_at, turn.label("turn"))
    firsts = waiting.where(jobs.c.state == "queued").subquery()
    query = select(firsts.c.id, firsts.c.owner).where(firsts.c.turn == 1)
    found = connection.execute(query.order_by(firsts.c.queued_at, firsts.c.id)).all()
    active, used = _running(connection), decayed_usage(connection, now)
    # ``index`` takes the first of equal ones, which waits longest.
    order = [(active.get(job.owner, 0), used.get(job.owner, 0.0)) for job in found]
    return found[order.index(min(order))].id if found else None


def fairest_queued(connection: Connection, now: float) -> list[int]:
    """The queued jobs in the order in which they will be claimed.

    By (the owner's running jobs, the owner's recent slot-seconds, queued since); each job that is placed counts
    as running for those after it, so that several owners alternate.
    """
    queued = connection.execute(
        select(jobs.c.id, jobs.c.owner).where(jobs.c.state == "queued").order_by(jobs.c.queued_at, jobs.c.id)
    ).all()
    active, used = _running(connection), decayed_usage(connection, now)
    ranked = []
    for place, job in enumerate(queued):
        ranked.append((active.get(job.owner, 0), used.get(job.owner, 0.0), place, job.id))
        active[job.owner] = active.get(job.owner, 0) + 1
    return [job for *_, job in sorted(ranked)]


def _running(connection: Connection) -> dict[str, int]:
    """Owner → running jobs."""
    query = select(jobs.c.owner, func.count().label("jobs")).where(jobs.c.state == "running")
    return {row.owner: row.jobs for row in connection.execute(query.group_by(jobs.c.owner))}


def _live_jobs(connection: Connection, job_ids: Sequence[int]) -> Sequence[Row]:
    return connection.execute(select(jobs).where(jobs.c.id.in_(job_ids), jobs.c.state.in_(LIVE))).all()
