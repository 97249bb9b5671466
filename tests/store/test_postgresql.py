"""A store on a real PostgreSQL: what is refused and how, outages, stopped processes, and one clock for all machines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, inspect

from dropviz import settings
from dropviz.experiment import ExperimentSpec
from dropviz.store import Store, StoreError, migrations
from dropviz.store.database.postgresql import STOPPED_SECONDS
from tests.postgres import PASSWORD


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Store]:
    opened = Store.open()
    yield opened
    opened.close()


def refusal(url: str) -> str:
    """What is said; the password is nowhere, in the log neither."""
    with pytest.raises(StoreError) as refused:
        Store.open(url)
    told = "".join(traceback.format_exception(refused.value))
    assert PASSWORD not in told
    assert "wrong-secret" not in told
    return str(refused.value)


def test_a_server_that_does_not_answer_is_named(data: Path) -> None:
    said = refusal("postgresql+psycopg://ada:wrong-secret@127.0.0.1:1/dropviz")
    assert said.startswith("No PostgreSQL server answers at 127.0.0.1:1 (")
    assert said.endswith("start it, or correct DROPVIZ_STORE.")


def test_a_host_that_does_not_exist_is_named(data: Path) -> None:
    assert "answers at nowhere.invalid (" in refusal("postgresql+psycopg://a:wrong-secret@nowhere.invalid/d")


def test_a_wrong_password_is_refused_and_not_told(postgres_server, data: Path) -> None:
    said = refusal(postgres_server.url(password="wrong-secret"))
    assert said.endswith("does not let 'owner' in with this password: correct DROPVIZ_STORE.")


def test_a_database_that_does_not_exist_is_named(postgres_server, data: Path) -> None:
    assert "There is no database 'nothing' on 127.0.0.1" in refusal(postgres_server.url("nothing"))


@pytest.mark.parametrize(
    "rest", ["wrong-secret@there:x/d", "wrong-secret@/@there/d", "wrong-secret@there:5432:1/d"]
)
def test_a_url_that_cannot_be_read_is_explained(data: Path, rest: str) -> None:
    assert "write %40 for @" in refusal(f"postgresql+psycopg://ada:{rest}")


def test_tables_of_another_program_are_left_alone(postgres_server, data: Path) -> None:
    url = postgres_server.create()
    place = url.rpartition("%3D")[2]
    postgres_server.execute(f"CREATE TABLE {place}.schema_version (version INTEGER)")
    assert "is a database of another program: name another database in DROPVIZ_STORE." in refusal(url)


def test_a_user_who_may_not_make_tables_is_told(postgres_server, data: Path) -> None:
    postgres_server.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    said = refusal(postgres_server.url(user="guest"))
    assert "'guest' may not write to the database 'postgres'" in said
    assert "make that user its owner" in said


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_without_unicode_is_refused(postgres_server, data: Path, encoding: str) -> None:
    name = f"old_{encoding.lower()}"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    assert f"keeps text as {encoding}" in refusal(postgres_server.url(name))


def test_without_psycopg_the_line_that_installs_it_is_told(data: Path) -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\nfrom dropviz.store import Store\nStore.open(sys.argv[1])"
    )
    command = [sys.executable, "-c", code, "postgresql+psycopg://ada:wrong-secret@there/d"]
    done = subprocess.run(command, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert "pip install -c constraints.txt -r requirements-cluster.txt" in last
    assert "wrong-secret" not in done.stderr


def test_state_changes_are_durable_and_points_need_not_be(postgres: Store) -> None:
    for durable, level in ((True, "on"), (False, "off")):
        for alone in (True, False):
            with postgres.database.write(durable=durable, alone=alone) as connection:
                assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == level


def test_a_server_that_was_restarted_is_used_again_and_its_absence_is_told(
    postgres: Store, postgres_server, spec: ExperimentSpec
) -> None:
    view_id = postgres.submit(spec)
    postgres_server.halt()
    with pytest.raises(StoreError, match="No PostgreSQL server answers at"):
        postgres.experiment(view_id)
    postgres_server.start()
    assert postgres.experiment(view_id).state == "queued"
    postgres_server.halt()
    postgres_server.start()
    assert postgres.claim("worker") is not None  # over a connection that had died in the pool


HOLDER = """
import sys
from dropviz.store import Store, StoreError
store = Store.open()
try:
    with store.database.write():
        print("holds", flush=True)
        sys.stdin.readline()
except StoreError as error:
    print(error, flush=True)
"""


def test_a_process_that_is_stopped_while_it_holds_the_lock_does_not_stop_the_others(
    postgres: Store, spec: ExperimentSpec
) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], **pipes)  # type: ignore[call-overload]
    assert holder.stdout.readline() == "holds\n"
    os.kill(holder.pid, signal.SIGSTOP)
    postgres.submit(spec)
    os.kill(holder.pid, signal.SIGCONT)
    said, _ = holder.communicate("go on\n", timeout=60)
    assert "cannot be used" in said  # the server had ended its session: nothing of it counts


def test_who_reads_may_rest_for_longer_than_one_who_is_stopped_in_a_change(
    postgres: Store, spec: ExperimentSpec
) -> None:
    with postgres.database.read() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar_one()
        time.sleep(STOPPED_SECONDS + 0.5)
        postgres.submit(spec)
        assert connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar_one() == before


def test_the_clock_is_the_servers_whatever_the_machines_shows(
    postgres: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + 7200)
    with postgres.database.read() as connection:
        shown = connection.exec_driver_sql(
            "SELECT extract(epoch FROM clock_timestamp())::float8"
        ).scalar_one()
    assert abs(postgres.now() - shown) < 60


def test_files_are_named_after_the_store_however_its_server_is_called(
    postgres: Store, postgres_server, data: Path
) -> None:
    same = Store.open(settings.store_url().replace("127.0.0.1", "localhost"))
    other = Store.open(postgres_server.create())
    assert same.weights.folder == postgres.weights.folder
    assert other.weights.folder != postgres.weights.folder
    assert postgres.weights.folder.parent == data
    same.close()
    other.close()


def test_an_error_message_with_a_zero_in_it_is_kept(postgres: Store, spec: ExperimentSpec) -> None:
    postgres.submit(spec)
    claim = postgres.claim("worker")
    assert claim is not None
    assert postgres.finish(claim.job_id, claim.attempt, "failed", error="bad byte \0 here", traceback="\0")
    job = postgres.job(claim.job_id)
    assert job is not None
    assert job.error == "bad byte � here"


def test_a_step_to_a_later_version_is_taken_on_both(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def more(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE classes ADD COLUMN room TEXT DEFAULT '' NOT NULL")
        Table("rooms", MetaData(), Column("id", Integer, primary_key=True)).create(connection)

    monkeypatch.setattr(migrations, "VERSION", migrations.VERSION + 1)
    monkeypatch.setattr(migrations, "MIGRATIONS", {migrations.VERSION - 1: more})
    for _ in range(2):
        Store.open().close()
    with store.database.read() as connection:
        assert inspect(connection).has_table("rooms")
        assert migrations.is_current(connection, store.database)
