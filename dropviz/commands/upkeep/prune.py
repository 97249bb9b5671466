"""``dropviz prune``: says what is old and what it takes, and deletes it when told to."""

from __future__ import annotations

import shutil

from dropviz import settings
from dropviz.downloads import shown_size
from dropviz.engine import engine_runs
from dropviz.store import Store
from dropviz.store.database.sqlite import SQLite
from dropviz.store.looking import schema
from dropviz.store.migrations import VERSION
from dropviz.store.pruning import TRASH_DAYS, Plan, Rules, carry_out, plan
from dropviz.store.pruning.lock import pruning

MOST_LISTED = 20  # uploads, by name


def prune(rules: Rules, *, dry_run: bool, yes: bool) -> int:
    """Delete what nobody keeps and the rules find too old or too much.

    Returns:
        The exit code, 0.

    Raises:
        ValueError: The store would have to be upgraded first, or another process prunes it.
    """
    _check_schema(changes=yes and not dry_run)
    store = Store.open()
    try:
        if dry_run or not yes:
            if _planned(store, rules):
                print("Nothing was deleted." + ("" if dry_run else " Add --yes to delete this."))
            return 0
        with pruning(store.database) as alone:
            if not alone:
                raise ValueError("Another process prunes this store at the moment: try again in a while.")
            planned = _planned(store, rules)
            carry_out(store, planned)
        if planned:
            print(f"Deleted. {_reclaim(store)}")
    finally:
        store.close()
    return 0


def _check_schema(*, changes: bool) -> None:
    """Who only looks changes nothing: opening a store of a former version would upgrade it."""
    found = schema(settings.store_url())
    if found == 0:
        raise ValueError("There is no store yet: set DROPVIZ_DATA, or DROPVIZ_STORE, to where one is.")
    if found < VERSION and not changes:
        raise ValueError(
            f"The store has schema {found}, and this version {VERSION}: looking would upgrade it. Upgrade first"
            " (docs/upgrading.md), or look with the version that serves it."
        )


def _planned(store: Store, rules: Rules) -> Plan:
    """What is to be deleted, and say it."""
    planned = plan(store, rules)
    print("\n".join((_said(planned), *(f"Warning: {warning}" for warning in planned.warnings))))
    return planned


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
    return "\n".join((f"To be deleted: {', '.join(parts)}; {size}.", *_uploads(planned), kept))


def _uploads(planned: Plan) -> list[str]:
    """A line about all of them, and one of each."""
    if not planned.uploads:
        return []
    lines = [f"  {file}: {shown_size(size)}" for file, size in sorted(planned.uploads.items())]
    more = [f"  and {len(lines) - MOST_LISTED:,} more"] if len(lines) > MOST_LISTED else []
    size = shown_size(sum(planned.uploads.values()))
    title = f"To be deleted, too: {len(lines):,} uploaded files that nothing names and nobody used for a day; {size}."
    return [title, *lines[:MOST_LISTED], *more]


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
