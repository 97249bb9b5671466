"""How much somebody may have waiting, and how often they may start something: what keeps one browser from filling the queue.

Counted in the transaction that would queue more, so that two tabs at once cannot pass together. What a command line on this
machine starts is not counted: whoever has one can change the limits.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Table, func, select

from dropviz.budget import Budget
from dropviz.choices import SpecError
from dropviz.store.schema import classes, experiments, jobs, sweeps

UNLIMITED = ("", "command line")  # owners
MINUTE = 60.0
MOST_CLASSES = 100  # of one person
LEAST_FREE = 500_000_000  # bytes of the disk, below which nobody brings a file


class QueueFull(SpecError):
    """More than may wait here, or faster than it may be started; the message says when to try again."""


def check_queue(connection: Connection, owner: str, more: int) -> None:
    """Refuse to queue more jobs than one person, or all together, may have waiting.

    Args:
        connection: Of the transaction that would queue them.
        owner: Who asks.
        more: How many, or at least so many; nothing is refused to somebody who adds none.

    Raises:
        QueueFull: Names the amount, the limit and what to do.
    """
    if owner in UNLIMITED or not more:
        return
    budget = Budget.from_environment()
    if more > budget.queued:
        raise QueueFull(
            f"This would queue at least {more:,} jobs, and one person may have {budget.queued:,} waiting on this server:"
            " ask for fewer seeds, arms or values."
        )
    waiting = jobs.c.state.in_(("queued", "paused"))
    mine = _count(connection, waiting & (jobs.c.owner == owner))
    if mine + more > budget.queued:
        raise QueueFull(
            f"This would queue {more:,} jobs beside the {mine:,} of yours that wait, and one person may have {budget.queued:,}"
            " waiting on this server: stop some, or wait until they are done."
        )
    everybody = _count(connection, waiting)
    if everybody + more > budget.queued_together:
        raise QueueFull(
            f"{everybody:,} jobs wait on this server, which takes {budget.queued_together:,} at most: try again when it has"
            " caught up."
        )


def check_pace(connection: Connection, owner: str, now: float) -> None:
    """Refuse somebody who starts more in a minute than a person can: experiments, sweeps (also anew), imports and classes.

    Raises:
        QueueFull: Names the limit.
    """
    if owner in UNLIMITED:
        return
    most = Budget.from_environment().starts
    lately = sum(_started(connection, table, owner, now - MINUTE) for table in (experiments, sweeps, classes))
    lately += _resumed(connection, owner, now - MINUTE)
    if lately >= most:
        raise QueueFull(
            f"{lately:,} things were started from this browser within a minute, and this server takes {most:,}:"
            " wait a minute."
        )


def check_measuring(connection: Connection, owner: str, more: int, now: float) -> None:
    """Refuse more jobs that measure than the queue takes, and more in a minute than a person asks for.

    Raises:
        QueueFull: Names the amount and the limit.
    """
    check_queue(connection, owner, more)
    if owner in UNLIMITED or not more:
        return
    most = Budget.from_environment().starts
    lately = _count(
        connection,
        (jobs.c.kind != "train") & (jobs.c.owner == owner) & (jobs.c.queued_at > now - MINUTE),
    )
    if lately + more > most:
        raise QueueFull(
            f"This asks for {lately + more:,} measurements within a minute, and this server takes {most:,}: wait a minute."
        )


def check_classes(connection: Connection, owner: str) -> None:
    """Refuse another class to somebody who has very many.

    Raises:
        QueueFull: Names the limit.
    """
    if owner in UNLIMITED:
        return
    count = select(func.count()).select_from(classes).where(classes.c.owner == owner)
    if connection.execute(count).scalar_one() >= MOST_CLASSES:
        raise QueueFull(f"You have {MOST_CLASSES} classes, which is the most: open one of them again.")


def check_disk(folder: Path) -> None:
    """Refuse to take a file where the disk of the data directory is nearly full.

    Raises:
        QueueFull: Says how much is free.
    """
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE:
        raise QueueFull(
            f"This server's disk has {free / 1e6:,.0f} MB left, too little to take a file: whoever runs it has to make room."
        )


def _started(connection: Connection, table: Table, owner: str, since: float) -> int:
    """How many rows somebody added since a moment; cells of sweeps are none of their own."""
    columns = table.c
    query = select(func.count()).where(columns.owner == owner, columns.created_at > since)
    if table is experiments:
        query = query.where(columns.origin != "sweep")
    return int(connection.execute(query).scalar_one())


def _resumed(connection: Connection, owner: str, since: float) -> int:
    """How often somebody resumed a sweep since a moment: all cells that are queued together have one moment."""
    columns = experiments.c
    begun = select(sweeps.c.created_at).where(sweeps.c.owner == owner, sweeps.c.created_at > since)
    query = select(func.count(columns.created_at.distinct())).where(
        columns.owner == owner,
        columns.created_at > since,
        columns.origin == "sweep",
        columns.created_at.not_in(begun),
    )
    return int(connection.execute(query).scalar_one())


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(jobs).where(condition)).scalar_one())
