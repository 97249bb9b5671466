"""A child that is frozen in the middle of a write: everybody else may write again, and its run loses nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from dropviz.engine.holder import LOOK_SECONDS, Looks, watch
from dropviz.experiment import ExperimentSpec
from dropviz.store.database.base import Database
from tests.houses import House, wait_until
from tests.postgres import sending_rows

PATIENCE = 3.0
LOOKS = int(PATIENCE / LOOK_SECONDS)


def test_who_is_found_at_every_look_is_named_after_the_time_that_one_may_be_silent() -> None:
    looks = Looks(lambda: {7}, PATIENCE)
    assert [looks.look() for _ in range(LOOKS + 2)] == [set()] * LOOKS + [{7}, {7}]


def test_who_lets_go_once_or_was_another_is_not_named() -> None:
    found = iter([{7}] * LOOKS + [set()] + [{7, 9}] * LOOKS + [{8}] * LOOKS + [set()] * (LOOKS + 5))
    looks = Looks(lambda: next(found), PATIENCE)
    assert [looks.look() for _ in range(4 * LOOKS + 5)] == [set()] * (4 * LOOKS + 5)


def test_of_several_each_is_named_at_its_own_time() -> None:
    found = iter([{7}] * 2 + [{7, 8}] * (LOOKS + 1))
    looks = Looks(lambda: next(found), PATIENCE)
    assert [looks.look() for _ in range(LOOKS + 3)] == [set()] * LOOKS + [{7}] * 2 + [{7, 8}]


def frozen_in_a_write(house: House, pid: int) -> None:
    """Stop a child in a moment in which nobody else may write."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        os.kill(pid, signal.SIGSTOP)
        while (stat := Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) not in "Tt":
            assert stat != "Z"
        if house.store.database.holders() == {pid}:
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.002)
    raise AssertionError("the child never wrote when it was stopped")


@pytest.mark.slow
def test_a_child_that_is_frozen_in_a_write_is_killed_and_its_run_ends_bit_identical(
    served: House, long: ExperimentSpec, wait_for: Callable, alive: Callable
) -> None:
    expected = served.store.submit(long, fresh=True)
    assert served.finish(expected) == "done"
    view_id = served.store.submit(long, fresh=True)
    pid = served.running_pid(view_id)
    frozen_in_a_write(served, pid)
    other = served.store.submit(long, fresh=True)  # waits, and is written
    assert not alive(pid)
    assert served.finish(view_id) == "done"
    assert served.job(view_id).attempt == 2
    assert served.series(view_id) == served.series(expected)
    served.store.request(other, "stop")


@contextmanager
def engine_says(house: House) -> Iterator[list[str]]:
    """An engine for the length of a block; afterwards what it said is in the list."""
    said: list[str] = []
    engine = house.start("-m", "dropviz.engine")
    try:
        yield said
    finally:
        engine.terminate()
        said.append(engine.communicate(timeout=30)[1])


@pytest.mark.parametrize(
    ("writer", "statement"),
    [
        pytest.param("alone", "SELECT 1", id="with the lock"),
        pytest.param("one of many", "SELECT id FROM jobs FOR UPDATE", id="with a row"),
    ],
)
def test_on_postgresql_who_stands_still_between_rows_loses_the_session(
    shared: House, endless: ExperimentSpec, writer: str, statement: str
) -> None:
    with engine_says(shared) as said:
        view_id = shared.store.submit(endless, fresh=True)
        shared.running_pid(view_id)
        with sending_rows(writer, statement, environment=shared.environment) as still:
            os.kill(still.pid, signal.SIGSTOP)
            shared.store.request(view_id, "stop")  # waits, and is written
            assert shared.finish(view_id) == "stopped"
    assert "a process at 127.0.0.1 that stood still, whose session is ended" in said[0]


def test_on_postgresql_who_goes_on_sending_rows_keeps_the_session(shared: House) -> None:
    with engine_says(shared) as said:
        wait_until(shared.store.workers, "the engine looks")
        with shared.store.database.write() as connection:
            session = connection.connection.driver_connection
            assert session is not None
            with session.pipeline():
                for _ in range(20):  # longer than one may stand still
                    session.execute("SELECT 1")
                    time.sleep(0.4)
    assert "stood still" not in said[0]


def test_a_look_that_fails_does_not_keep_the_next_from_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dropviz.engine.holder.LOOK_SECONDS", 0.01)
    looks, ended = iter([RuntimeError("no room in the pool")] * 2), threading.Event()

    def holders() -> set[int]:
        for error in looks:
            raise error
        return {7}

    def end(holder: int, kill: Callable[[int], bool]) -> str:
        ended.set()
        return f"process {holder}"

    database = SimpleNamespace(holders=holders, patience=0.05, end=end)
    watch(cast(Database, database), lambda pid: False)
    assert ended.wait(60)
