"""A database of any former schema is brought to the current one, with all that is in it; a copy of it is kept."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store, copying
from dropviz.store.migrations import VERSION

FORMER = {int(path.stem.rpartition("_")[2]): path for path in Path(__file__).parent.glob("schema_*.sql")}
VIEW, VALUES = "ab" * 16, np.array([1.5, -2.0, np.pi])


def rows(spec: ExperimentSpec, version: int) -> dict[str, list[dict[str, Any]]]:
    """A done job and a queued one, with an experiment; from schema 3 on a class and a sweep, too."""
    both = {"spec": spec.canonical(), "arm": "none", "seeds": "[0, 1, 2]", "owner": "me", "wants": "run"}
    both |= {"advance_once": 0, "total": 40, "begun_seq": -1, "attempt": 1, "retries": 0, "epoch": 0}
    done = both | {"id": 1, "state": "done", "step": 40, "seq": 1, "revision": 5, "queued_at": 1.0}
    waits = both | {"id": 2, "state": "queued", "step": 0, "seq": -1, "revision": 0, "queued_at": 2.0}
    said = {"id": VIEW, "spec": spec.canonical(), "title": spec.title(), "owner": "me", "created_at": 3.0}
    point = {"job_id": 1, "seq": 0, "step": 10, "name": "train/loss", "values": VALUES.tobytes()}
    array = {"job_id": 1, "seq": 1, "step": 10, "name": "spectrum", "dtype": "<f8", "shape": "[3]"}
    found: dict[str, list[dict[str, Any]]] = {
        "experiments": [said | {"wants": "run", "revision": 1}],
        "jobs": [done, waits],
        "results": [
            {"id": 1 + seed, "key": f"k{seed}", "reusable": 1, "seed": seed, "job_id": 1, "position": seed}
            for seed in range(3)
        ],
        "experiment_results": [
            {"experiment_id": VIEW, "arm": "none", "seed": seed, "result_id": 1 + seed} for seed in range(3)
        ],
        "experiment_jobs": [{"experiment_id": VIEW, "job_id": 1, "cached": 0}],
        "points": [point],
        "arrays": [array | {"data": VALUES.tobytes()}],
    }
    if version >= 2:
        done |= {"training_seconds": 2.5}
    if version >= 3:
        found["classes"] = [{"id": "c", "definition": "{}", "title": "A", "owner": "me", "created_at": 1.0}]
        found["sweeps"] = [{"id": "s", "definition": "{}", "title": "B", "owner": "me", "created_at": 1.0}]
        found["sweep_cells"] = [{"sweep_id": "s", "position": 0, "experiment_id": VIEW}]
        found["experiments"][0] |= {"name": "mine", "pinned": 1, "class_id": "c"}
    return found


def database(path: Path, version: int, spec: ExperimentSpec) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(FORMER[version].read_text())
        for table, lines in rows(spec, version).items():
            for line in lines:
                names = ", ".join(f'"{name}"' for name in line)
                values = f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(line))})"
                connection.execute(values, list(line.values()))


def shape(path: Path) -> dict[str, set[tuple]]:
    """Tables with their columns and foreign keys, and the indexes with theirs."""
    with closing(sqlite3.connect(path)) as connection:
        ask = "SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite_%'"
        found: dict[str, set[tuple]] = {}
        for (table,) in connection.execute(ask, ("table",)).fetchall():
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            keys = connection.execute(f"PRAGMA foreign_key_list({table})").fetchall()
            found[table] = {row[1:] for row in columns} | {("key", *row[2:5]) for row in keys}
        for (index,) in connection.execute(ask, ("index",)).fetchall():
            found[index] = {row[2:] for row in connection.execute(f"PRAGMA index_info({index})")}
        return found


def content(path: Path, spec: ExperimentSpec, version: int) -> dict[str, list[dict[str, Any]]]:
    """What stands now in the columns that were filled."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return {
            table: [
                {name: row[name] for name in lines[0]}
                for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
            ]
            for table, lines in rows(spec, version).items()
        }


def test_every_former_schema_has_its_dump() -> None:
    assert sorted(FORMER) == list(range(1, VERSION))


@pytest.mark.parametrize("version", sorted(FORMER))
def test_a_database_of_a_former_schema_keeps_all_and_becomes_like_a_new_one(
    data: Path, file_store: Store, spec: ExperimentSpec, version: int
) -> None:
    path = data / "former.db"
    database(path, version, spec)
    before = content(path, spec, version)
    migrated = Store.open(path)
    assert shape(path) == shape(file_store.database.path)
    assert content(path, spec, version) == before
    experiment = migrated.experiment(VIEW)
    assert (experiment.state, experiment.spec, len(experiment.results)) == ("done", spec, 3)
    (point,) = migrated.points(1)
    assert point.values.tobytes() == VALUES.tobytes()
    claim = migrated.claim("worker")
    assert claim is not None
    assert (claim.job_id, claim.kind, claim.seeds) == (2, "train", (0, 1, 2))
    assert json.loads(claim.spec) == json.loads(spec.canonical())
    with migrated.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        assert connection.exec_driver_sql("SELECT version FROM schema_version").scalar() == VERSION
    migrated.close()
    Store.open(path).close()  # and not a second time
    kept = data / f"former.db.schema-{version}.bak"
    assert {found.name for found in data.glob("*.bak")} == {kept.name}
    assert content(kept, spec, version) == before
    assert copying.schema_of(kept) == version
    assert not list(data.glob("*.tmp"))


def test_a_current_database_has_no_copy_made(data: Path, file_store: Store) -> None:
    Store.open(file_store.database.path).close()
    assert not list(data.glob("*.bak"))


FULL_DISK = """
import resource, sys
from dropviz.store import Store, StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    Store.open(sys.argv[1])
except StoreError as error:
    print(error)
"""


def test_without_room_for_the_copy_nothing_is_upgraded(data: Path, spec: ExperimentSpec) -> None:
    data.mkdir()
    path = data / "former.db"
    database(path, 3, spec)
    before = path.read_bytes()
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert f"{path} cannot be copied" in said
    assert path.read_bytes() == before
    assert [found.name for found in data.iterdir()] == [path.name]
