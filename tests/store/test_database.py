"""Files that are not our database are refused with a sentence, and never touched."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import update

from dropviz import settings
from dropviz.experiment import ExperimentSpec
from dropviz.store import Store, StoreError
from dropviz.store.migrations import VERSION
from dropviz.store.schema import schema_version


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "dropviz.db"
    path.write_bytes(b"these are my notes, and not a database" * 100)
    content = path.read_bytes()
    with pytest.raises(StoreError, match="not a readable database: move it away"):
        Store.open(path)
    assert path.read_bytes() == content


def test_a_damaged_database_is_refused(file_store: Store, spec: ExperimentSpec) -> None:
    for seed in range(0, 40, 2):
        file_store.submit(spec.with_settings([f"first_seed={seed}"]))
    file_store.close()
    path = file_store.database.path
    content = bytearray(path.read_bytes())
    content[4096 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not a readable database"):
        Store.open(path)


def test_a_database_of_another_program_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE schema_version (version INTEGER)")
    content = path.read_bytes()
    with pytest.raises(StoreError, match="database of another program: set DROPVIZ_DATA"):
        Store.open(path)
    assert path.read_bytes() == content


def test_a_database_of_a_newer_version_is_refused(store: Store) -> None:
    with store.database.write() as connection:
        connection.execute(update(schema_version).values(version=VERSION + 1))
    with pytest.raises(StoreError, match=f"schema {VERSION + 1}, this one knows {VERSION}"):
        Store.open()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        Store.open(tmp_path / "file" / "dropviz.db")


@pytest.mark.parametrize(
    "url", ["mysql://ada:secret@there/dropviz", "postgresql://ada:secret@there/dropviz", "sqlite://"]
)
def test_what_is_no_store_is_refused_and_no_password_is_told(url: str) -> None:
    with pytest.raises(StoreError, match=r"write sqlite:///PATH, or postgresql\+psycopg://") as refusal:
        Store.open(url)
    assert "secret" not in str(refusal.value)


def test_opening_a_new_store_from_many_threads_at_once_works(data: Path) -> None:
    opened: list[Store] = []
    threads = [threading.Thread(target=lambda: opened.append(Store.open())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 8
    assert opened[0].experiments() == []


def test_foreign_keys_and_the_write_ahead_log_are_on(file_store: Store) -> None:
    with file_store.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 15_000


def test_state_changes_are_durable_and_points_need_not_be(file_store: Store) -> None:
    for durable, level in ((True, 2), (False, 1)):
        with file_store.database.write(durable=durable) as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level


@pytest.mark.parametrize(
    ("variable", "value", "ask"),
    [
        ("DROPVIZ_SLOTS", "0", settings.slots),
        ("DROPVIZ_SLOTS", "many", settings.slots),
        ("DROPVIZ_DEVICE", "gpu", settings.device),
        ("DROPVIZ_STEP_MINUTES", "soon", settings.step_seconds),
        ("DROPVIZ_STORE", "mysql://there", settings.store_url),
        ("DROPVIZ_ENGINE", "ray", settings.engine),
        ("DROPVIZ_DATA", __file__, settings.data_dir),
        ("DROPVIZ_CACHE", __file__, settings.cache_dir),
        ("DROPVIZ_DATA", __file__, settings.cache_dir),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(variable: str, value: str, ask: object, monkeypatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"{variable} = '{value}'"):
        ask()  # type: ignore[operator]


def test_settings_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path))
    monkeypatch.setenv("DROPVIZ_SLOTS", "3")
    monkeypatch.setenv("DROPVIZ_DEVICE", "cuda:1")
    assert (settings.data_dir(), settings.slots(), settings.device_class()) == (tmp_path, 3, "cuda")
    monkeypatch.setattr(settings.machine, "cores", lambda: 8)
    assert (settings.threads(3), settings.threads(7), settings.threads(20)) == (2, 1, 1)
    assert settings.store_url() == f"sqlite:///{tmp_path}/dropviz.db"
    assert settings.cache_dir() == tmp_path / "datasets"
    monkeypatch.setenv("DROPVIZ_CACHE", str(tmp_path / "elsewhere"))
    assert settings.cache_dir() == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    "module",
    ["dropviz.store", "dropviz.engine", "dropviz.cli", "dropviz.commands.headless", "dropviz.commands.serve"],
)
def test_importing_it_imports_neither_torch_nor_streamlit(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'streamlit', 'sklearn'}} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_who_keeps_others_from_writing_is_known_and_named(
    tmp_path: Path, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropviz.store.database.sqlite.BUSY_SECONDS", 0.1)
    path = tmp_path / "dropviz.db"
    with closing(Store.open(path)) as store:
        assert store.database.holders() == set()
        script = f"""
import sqlite3, sys
connection = sqlite3.connect({str(path)!r}, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()"""
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            assert store.database.holders() == {other.pid}
            with pytest.raises(StoreError, match=f"is held by process {other.pid}, which does not let go"):
                store.submit(spec)
            other.communicate("")
        assert store.database.holders() == set()
        store.submit(spec)
