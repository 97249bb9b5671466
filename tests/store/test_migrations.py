"""A database of a former schema is brought to the current one, with all that is in it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from dropviz.store.migrations import VERSION

FORMER = Path(__file__).with_name("schema_1.sql")


def columns(path: Path) -> dict[str, set[tuple]]:
    with sqlite3.connect(path) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {table: connection.execute(f"PRAGMA table_info({table})").fetchall() for table in tables}
        indexes = {
            row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
        }
    return {table: {row[1:] for row in rows} for table, rows in found.items()} | {
        "indexes": {(i,) for i in indexes}
    }


def test_a_database_of_the_first_schema_keeps_its_jobs_and_becomes_like_a_new_one(
    data: Path, file_store: Store, spec: ExperimentSpec
) -> None:
    path = data / "former.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(FORMER.read_text())
        row = {
            "spec": spec.canonical(),
            "arm": "none",
            "seeds": "[0,1,2]",
            "owner": "",
            "state": "queued",
            "wants": "run",
        }
        row |= {
            "advance_once": 0,
            "step": 0,
            "total": 40,
            "seq": -1,
            "begun_seq": -1,
            "attempt": 0,
            "retries": 0,
        }
        row |= {"epoch": 0, "revision": 0, "queued_at": 1.0}
        connection.execute(
            f"INSERT INTO jobs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())
        )
    connection.close()
    migrated = Store.open(path)
    (job,) = migrated.live_jobs()
    assert (job.kind, job.arm, job.seeds, job.training_seconds) == ("train", "none", (0, 1, 2), 0.0)
    claim = migrated.claim("worker")
    assert claim is not None
    assert claim.kind == "train"
    migrated.close()
    Store.open(path).close()  # and not a second time
    assert columns(path) == columns(file_store.database.path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchone() == (VERSION,)
    connection.close()
