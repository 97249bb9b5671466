"""What the dispatcher decides by its own clock, whatever the machine's shows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropviz.engine import Dispatcher, Placed
from dropviz.experiment import ExperimentSpec
from dropviz.store import Claim, Store


class Idle:
    """An engine that runs nothing and remembers what it was to stop."""

    def __init__(self) -> None:
        self.stopped: list[tuple[int, int]] = []

    def slots(self) -> int:
        return 0

    def submit(self, claim: Claim) -> None:
        raise AssertionError(claim)

    def stop(self, job_id: int, attempt: int) -> None:
        self.stopped.append((job_id, attempt))

    def list(self) -> list[Placed]:
        return []


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path))
    opened = Store.open()
    yield opened
    opened.close()


@pytest.fixture
def claim(store: Store, tiny: ExperimentSpec) -> Claim:
    store.submit(tiny)
    claimed = store.claim("worker")
    assert claimed is not None
    store.begin(claimed.job_id, claimed.attempt, seq=-1, step=0, pid=1, device="cpu")
    return claimed


def test_a_child_that_is_heard_of_keeps_its_lease_and_a_silent_one_loses_it(
    store: Store, claim: Claim
) -> None:
    dispatcher, engine = Dispatcher(store, Idle()), Idle()
    dispatcher.engine = engine
    for now in (0.0, 8.0, 16.0):
        store.append(claim.job_id, claim.attempt)
        dispatcher._expire(now)
    assert engine.stopped == []
    dispatcher._expire(25.0)
    assert engine.stopped == []
    dispatcher._expire(27.0)
    assert engine.stopped == [(claim.job_id, claim.attempt)]
    job = store.job(claim.job_id)
    assert job is not None
    assert job.state == "queued"


def test_a_clock_that_jumps_costs_no_child_its_lease(
    store: Store, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher = Dispatcher(store, Idle())
    dispatcher._expire(0.0)
    real = time.time
    for jump in (3600.0, -7200.0):
        monkeypatch.setattr("time.time", lambda jump=jump: real() + jump)
        dispatcher._expire(2.0)
    job = store.job(claim.job_id)
    assert job is not None
    assert (job.state, job.attempt) == ("running", 1)


def test_what_a_command_line_started_stops_when_it_is_gone(store: Store, tiny: ExperimentSpec) -> None:
    dispatcher = Dispatcher(store, Idle())
    watched, other = store.submit(tiny), store.submit(tiny.with_settings(["first_seed=9"]))
    for now in (0.0, 8.0, 16.0):
        store.watch(watched)
        dispatcher._stop_unwatched(now)
    assert store.experiment(watched).state == "queued"
    dispatcher._stop_unwatched(27.0)
    assert store.experiment(watched).state == "stopped"
    assert store.experiment(other).state == "queued"
