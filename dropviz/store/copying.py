"""A SQLite database as one file that is complete, taken while others write to it; and the copy that is kept before an upgrade."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from dropviz import logs
from dropviz.store.migrations import VERSION
from dropviz.store.records import StoreError

BUSY_SECONDS = 15

logger = logging.getLogger(__name__)


def copy_database(source: Path, target: Path) -> None:
    """Write one moment of a database into a new file; who writes to it meanwhile does not wait.

    Raises:
        StoreError: It cannot be read, or there is no room.
    """
    try:
        with (
            closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as database,
            closing(sqlite3.connect(target)) as copy,
        ):
            database.backup(copy)  # all pages in one read transaction
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise StoreError(
            f"{source} cannot be copied to {target} ({error}): check the disk and its free space."
        ) from None


def keep_former(path: Path) -> None:
    """Keep a copy of a database of a former schema beside it, before it is upgraded; of any other one nothing.

    Raises:
        StoreError: There is no room for the copy.
    """
    found = schema_of(path)
    if found is None or not 0 < found < VERSION:
        return
    kept = path.with_name(f"{path.name}.schema-{found}.bak")
    draft = kept.with_suffix(f".{os.getpid()}.tmp")
    copy_database(path, draft)
    if schema_of(draft) != found:  # another process upgraded it in this moment, and has kept the copy
        draft.unlink()
        return
    draft.replace(kept)
    logger.info("the database is upgraded; its copy is kept", extra=logs.of(schema=found, copy=str(kept)))


def schema_of(path: Path) -> int | None:
    """The schema version that a file says it has; None where it says nothing that can be read."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as database:
            row = database.execute("SELECT version FROM schema_version").fetchone()
    except sqlite3.Error:
        return None
    return row[0] if row and isinstance(row[0], int) else None
