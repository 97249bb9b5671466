"""What the doctor says of a store, and that it leaves it as it is: of a former schema, where none is, and without a right to write."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dropviz.commands.upkeep.doctor.registry import CHECKS, Context, Finding, run
from dropviz.commands.upkeep.prune import prune
from dropviz.datasets import registry
from dropviz.store import Store, StoreError
from dropviz.store.looking import looking, try_writing
from dropviz.store.migrations import VERSION
from dropviz.store.pruning import Rules
from tests.postgres import PASSWORD

STORE = Path(__file__).parents[1] / "store"
FORMER = {int(path.stem.rpartition("_")[2]): path for path in STORE.glob("schema_*.sql")}
LOOKS = [name for name in CHECKS if name not in ("network", "port", "packages")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory, and no other setting."""
    for name in [name for name in os.environ if name.startswith("DROPVIZ_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def postgres_url(folder: Path, postgres_server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store on a real PostgreSQL, which the settings name."""
    url = postgres_server.create()
    monkeypatch.setenv("DROPVIZ_STORE", url)
    Store.open().close()
    return url


def found(name: str, state: str) -> list[Finding]:
    return [finding for finding in run(name, Context(port=8501)) if finding.state == state]


def only(name: str, state: str) -> Finding:
    (finding,) = found(name, state)
    return finding


def former(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(FORMER[version].read_text())


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("version", sorted(FORMER))
def test_a_store_of_a_former_schema_is_as_it_was_after_a_look(folder: Path, version: int) -> None:
    former(folder / "dropviz.db", version)
    before = content(folder)
    said = only("store", "warning")
    assert said.found == f"it has schema {version}, and this version {VERSION}"
    assert "it is upgraded when it is opened, and a copy is kept" in said.todo
    assert f"schema {version}" in only("store", "ok").found
    for name in LOOKS:
        assert not found(name, "problem"), name
    for dry_run in (True, False):
        with pytest.raises(ValueError, match=f"The store has schema {version}, and this version {VERSION}"):
            prune(Rules(), dry_run=dry_run, yes=False)
    assert content(folder) == before


def test_nor_is_it_changed_by_the_command(folder: Path) -> None:
    former(folder / "dropviz.db", 3)
    before = content(folder)
    command = [sys.executable, "-m", "dropviz", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert f"it has schema 3, and this version {VERSION}" in done.stdout
    command[3:] = ["prune", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "The store has schema 3" in done.stderr
    assert "Traceback" not in done.stderr
    assert content(folder) == before


def test_where_no_store_is_none_is_made(folder: Path) -> None:
    assert only("store", "ok").found == f"{folder / 'dropviz.db'}: none yet; dropviz serve makes it"
    for name in LOOKS:
        assert not found(name, "problem"), name
    with pytest.raises(ValueError, match="There is no store yet"):
        prune(Rules(), dry_run=True, yes=False)
    assert list(folder.iterdir()) == []


def test_of_a_large_file_it_is_said_that_its_pages_are_not_checked(folder: Path) -> None:
    Store.open().close()
    path = folder / "dropviz.db"
    assert only("store", "ok").found.endswith("whole")
    with closing(sqlite3.connect(path)) as connection:
        with connection:
            connection.execute("CREATE TABLE filler (x)")
            connection.executemany("INSERT INTO filler VALUES (zeroblob(1000))", [()] * 20_000)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(100_000))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",), "it is damaged, unseen"
    said = only("store", "ok").found
    assert "its pages are not checked, being more than 16.8 MB" in said
    assert f"sqlite3 {path} 'PRAGMA quick_check' does" in said


def test_of_large_data_sets_it_is_said_that_only_the_sizes_were_compared(folder: Path) -> None:
    download = registry.read("cifar-10").download()
    (file,) = download.files
    path = download.path(file)
    path.parent.mkdir(parents=True)
    with path.open("wb") as sparse:
        sparse.truncate(file.size)
    assert not found("data sets", "warning")
    assert "of large files the sizes alone were compared: cifar-10" in only("data sets", "ok").found


def test_a_server_is_tried_by_a_write_that_is_taken_back(postgres_url: str) -> None:
    assert only("store", "ok").found.endswith(f"answers and can be written to: schema {VERSION}")
    with looking(postgres_url) as database:
        assert database is not None
        try_writing(database)
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT version FROM schema_version").all() == [(VERSION,)]


def test_a_role_that_may_only_read_is_a_problem(
    postgres_url: str, postgres_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = postgres_url.rpartition("%3D")[2]
    postgres_server.execute(f"CREATE ROLE reader_of_{place} LOGIN PASSWORD '{PASSWORD}'")
    postgres_server.execute(f"GRANT USAGE ON SCHEMA {place} TO reader_of_{place}")
    postgres_server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {place} TO reader_of_{place}")
    url = postgres_url.replace("//owner:", f"//reader_of_{place}:")
    Store.open(url).close()  # which does not notice
    monkeypatch.setenv("DROPVIZ_STORE", url)
    said = only("store", "problem")
    assert "cannot be written to (permission denied for table schema_version)" in said.found
    assert said.todo == "Name the server that takes writes in DROPVIZ_STORE, and a role that owns the tables."
    assert PASSWORD not in said.found


def test_a_session_that_takes_no_writes_is_a_problem_as_on_a_standby(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with looking(postgres_url) as database:
        assert database is not None
        monkeypatch.setattr("dropviz.store.database.postgresql.CHANGE", "BEGIN READ ONLY")
        with pytest.raises(StoreError, match=r"cannot be written to \(cannot execute UPDATE in a read-only"):
            try_writing(database)


def test_a_server_of_a_former_schema_or_without_tables_is_left_so(
    postgres_url: str, postgres_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = postgres_url.rpartition("%3D")[2]
    postgres_server.execute(f"UPDATE {place}.schema_version SET version = {VERSION - 1}")
    said = only("store", "warning")
    assert said.found == f"it has schema {VERSION - 1}, and this version {VERSION}"
    assert "pg_dump" in said.todo
    assert not found("engine", "problem")
    with looking(postgres_url) as database:
        assert database is not None
        assert database.schema == VERSION - 1
    empty = postgres_server.create()
    monkeypatch.setenv("DROPVIZ_STORE", empty)
    assert only("store", "ok").found.endswith("empty; dropviz serve makes its tables")
    assert not found("engine", "problem")
    with looking(empty) as database:
        assert database is not None
        assert database.schema == 0
