"""What pruning does in each of its transactions: look once more, and delete what still nobody keeps."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, Table, delete, select

from dropviz.store.pruning.retention import DAY, TRASH_DAYS, being_measured, is_orphan, keepers, old_weights
from dropviz.store.records import FINAL
from dropviz.store.schema import (
    arrays,
    experiment_jobs,
    experiment_results,
    experiments,
    jobs,
    points,
    results,
    sweep_cells,
    sweeps,
)
from dropviz.store.weights import Weights


def delete_sweep(
    connection: Connection, sweep_id: str, planned: Collection[str], now: float, *, thrown_away: bool
) -> None:
    """Delete a sweep; its cells are experiments that go by themselves.

    It stays where somebody keeps a cell, asked for one anew, or took a deletion back, and for a week where it was deleted since.

    Args:
        connection: Of a transaction that is alone.
        sweep_id: The sweep.
        planned: The experiments that are to go.
        now: By the store's clock.
        thrown_away: Whether it goes because its owner deleted it.
    """
    row = connection.execute(select(sweeps.c.deleted_at).where(sweeps.c.id == sweep_id)).first()
    if row is None:
        return
    restored = thrown_away and row.deleted_at is None
    can_be_taken_back = row.deleted_at is not None and row.deleted_at > now - TRASH_DAYS * DAY
    cells = select(sweep_cells.c.experiment_id).where(sweep_cells.c.sweep_id == sweep_id)
    asked_anew = set(connection.execute(cells).scalars()) - set(planned)
    kept = connection.execute(
        select(experiments.c.id).where(experiments.c.id.in_(cells), keepers(now)).limit(1)
    )
    if restored or can_be_taken_back or asked_anew or kept.first():
        return
    connection.execute(delete(sweep_cells).where(sweep_cells.c.sweep_id == sweep_id))
    connection.execute(delete(sweeps).where(sweeps.c.id == sweep_id))


def delete_experiments(
    connection: Connection, view_ids: Collection[str], now: float, thrown_away: Collection[str]
) -> None:
    """Delete those that are of no sweep and that nobody keeps; of the ``thrown_away`` those that nobody took back."""
    chosen = experiments.c.id.in_(view_ids)
    kept = set(connection.execute(select(experiments.c.id).where(chosen, keepers(now))).scalars())
    there = select(experiments.c.id).where(chosen, experiments.c.deleted_at.is_(None))
    kept |= set(connection.execute(there).scalars()) & set(thrown_away)
    cells = select(sweep_cells.c.experiment_id).where(sweep_cells.c.experiment_id.in_(view_ids))
    gone = set(view_ids) - kept - set(connection.execute(cells).scalars())
    for table in (experiment_results, experiment_jobs):
        connection.execute(delete(table).where(table.c.experiment_id.in_(gone)))
    connection.execute(delete(experiments).where(experiments.c.id.in_(gone)))


def delete_jobs(connection: Connection, job_ids: Collection[int]) -> list[int]:
    """Delete estimates, and what trained and still belongs to nobody, with all that they recorded and what measured their weights.

    Returns:
        The jobs that are gone.
    """
    ended = select(jobs.c.id).where(jobs.c.id.in_(job_ids), jobs.c.state.in_(FINAL))
    estimates = list(connection.execute(ended.where(jobs.c.kind == "estimate")).scalars())
    unused = ended.where(jobs.c.kind == "train", is_orphan(), jobs.c.id.not_in(being_measured()))
    trained = sorted(connection.execute(unused).scalars())
    refreshes = connection.execute(select(jobs.c.id).where(jobs.c.weights_of.in_(trained))).scalars().all()
    measuring = sorted({*estimates, *refreshes})
    for gone in (measuring, trained):  # what measured refers to what trained
        tables: tuple[Table, ...] = (results, points, arrays)
        for table in tables:
            connection.execute(delete(table).where(table.c.job_id.in_(gone)))
        connection.execute(delete(jobs).where(jobs.c.id.in_(gone)))
    return measuring + trained


def remove_weights(connection: Connection, weights: Weights, job_ids: Collection[int], cutoff: float) -> None:
    """Remove the weights of jobs that stay, within the transaction: who asks for a refresh of them waits until it is over."""
    for job in old_weights(connection, cutoff) & set(job_ids):
        weights.remove(job)
