"""``dropviz prune``: says what is old and what it takes, and deletes it when told to."""

from __future__ import annotations

import shutil

from dropviz.downloads import shown_size
from dropviz.engine import engine_runs
from dropviz.store import Store
from dropviz.store.database.sqlite import SQLite
from dropviz.store.pruning import TRASH_DAYS, Plan, Rules, carry_out, plan


def prune(rules: Rules, *, dry_run: bool, yes: bool) -> int:
    """Delete what nobody keeps and the rules find too old or too much.

    Returns:
        The exit code, 0.
    """
    store = Store.open()
    try:
        planned = plan(store, rules)
        print(_said(planned))
        if not planned:
            return 0
        if dry_run or not yes:
            print("Nothing was deleted." + ("" if dry_run else " Add --yes to delete this."))
            return 0
        carry_out(store, planned)
        print(f"Deleted. {_reclaim(store)}")
    finally:
        store.close()
    return 0


def _said(planned: Plan) -> str:
    if not planned:
        return f"Nothing is to be deleted; the store takes {shown_size(planned.total)}."
    cells = f", {len(planned.sweeps):,} sweeps with their cells" if planned.sweeps else ""
    parts = [
        f"{len(planned.experiments):,} experiments{cells}",
        f"{len(planned.jobs):,} jobs with what they recorded",
    ]
    if planned.weights:
        parts.append(f"the former weights of {len(planned.weights):,} jobs that stay")
    size = f"about {shown_size(planned.bytes)} of {shown_size(planned.total)}"
    kept = f"Pinned, shared, of a class, under way, or deleted less than {TRASH_DAYS:.0f} days ago: kept."
    return f"To be deleted: {', '.join(parts)}; {size}.\n{kept}"


def _reclaim(store: Store) -> str:
    """Make the file smaller where nobody is in the way; a sentence about it."""
    database = store.database
    if not isinstance(database, SQLite):
        return "PostgreSQL gives the space back by itself (autovacuum)."
    path = database.path
    if engine_runs():
        return (
            f"{path.name} keeps its size while it is served, and what is new goes into the free space;"
            " prune while nothing serves makes it smaller."
        )
    before = path.stat().st_size
    if shutil.disk_usage(path.parent).free < 2 * before:
        return f"{path.name} keeps its size: making it smaller needs {shown_size(2 * before)} for a moment."
    with store.database.engine.connect() as connection:
        connection = connection.execution_options(begin=("SELECT 1",))  # not within a transaction
        connection.exec_driver_sql("VACUUM")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return f"{path.name} has {shown_size(path.stat().st_size)}, and had {shown_size(before)}."
