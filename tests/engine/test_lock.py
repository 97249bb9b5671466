"""One engine alone on a SQLite file; any number on PostgreSQL, of which this machine's are seen."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dropviz.engine import EngineRunning, engine_runs, lock
from dropviz.engine.silence import Silence


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path))
    monkeypatch.delenv("DROPVIZ_STORE", raising=False)


def test_a_sqlite_file_has_one_engine() -> None:
    assert not engine_runs()
    held = lock.acquire()
    assert engine_runs()
    with pytest.raises(EngineRunning, match=f"process {os.getpid()}"):
        lock.acquire()
    os.close(held)
    assert not engine_runs()


def test_engines_on_postgresql_share_and_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_STORE", "postgresql+psycopg://there/one")
    held = [lock.acquire(), lock.acquire()]
    assert engine_runs()
    os.close(held[0])
    assert engine_runs()
    monkeypatch.setenv("DROPVIZ_STORE", "postgresql+psycopg://there/other")
    assert not engine_runs(), "an engine of another store"
    monkeypatch.setenv("DROPVIZ_STORE", "postgresql+psycopg://there/one")
    os.close(held[1])
    assert not engine_runs()


def test_of_engines_that_are_started_where_there_is_none_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_STORE", "postgresql+psycopg://there/one")
    monkeypatch.setattr(lock, "PROBE_SECONDS", 0.2)
    start = threading.Barrier(8)

    def engine(_: int) -> int:
        start.wait()
        try:
            return lock.acquire(if_none=True)
        except EngineRunning:
            return 0

    with ThreadPoolExecutor(8) as threads:
        for _ in range(10):
            (held,) = [one for one in threads.map(engine, range(8)) if one]
            os.close(lock.acquire())  # who asks for one beside it gets one
            with pytest.raises(EngineRunning, match="of this machine serves this store already"):
                lock.acquire(if_none=True)
            os.close(held)


def test_silence_begins_when_something_is_first_heard_of_and_ends_with_each_new_word() -> None:
    silence: Silence[str] = Silence()
    assert silence.of({"a": 5.0}, now=100.0) == {"a": 0.0}
    assert silence.of({"a": 5.0, "b": 1.0}, now=103.0) == {"a": 3.0, "b": 0.0}
    assert silence.of({"a": 4.0, "b": 1.0}, now=104.0) == {
        "a": 0.0,
        "b": 1.0,
    }  # a clock that went back is news, too
    assert silence.of({"b": 1.0}, now=105.0) == {"b": 2.0}
    assert silence.of({"a": 4.0}, now=109.0) == {"a": 0.0}  # it had been forgotten
