"""What the dispatcher decides by its own clock, whatever the machine's shows."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from dropviz.engine import Dispatcher, Placed
from dropviz.experiment import ExperimentSpec
from dropviz.store import Claim, Store, StoreError, Worker
from dropviz.store.schema import jobs


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


class Ended(Idle):
    """An engine whose one child has ended, which it says once."""

    def __init__(self, claim: Claim, exit_code: int) -> None:
        super().__init__()
        ended = Placed(job_id=claim.job_id, attempt=claim.attempt, sentinel=None, exit_code=exit_code)
        self.placed = [ended]

    def list(self) -> list[Placed]:
        placed, self.placed = self.placed, []
        return placed


class Crowded(Idle):
    """An engine on a machine that has no process left for a child."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def slots(self) -> int:
        return 2

    def submit(self, claim: Claim) -> None:
        self.asked += 1
        raise BlockingIOError(11, "Resource temporarily unavailable")


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


def test_silence_is_forgiven_where_the_dispatcher_stood_still_itself(store: Store, claim: Claim) -> None:
    dispatcher = Dispatcher(store, Idle())
    dispatcher._housekeeping()
    heard = dispatcher._children._heard
    dispatcher._children._heard = {key: (at, seen - 60.0) for key, (at, seen) in heard.items()}
    dispatcher._beaten_at = dispatcher._listened_at = time.monotonic() - 60.0
    dispatcher._housekeeping()
    job = store.job(claim.job_id)
    assert job is not None
    assert (job.state, job.attempt) == ("running", 1)


def test_an_end_that_cannot_be_recorded_is_recorded_later(store: Store, claim: Claim) -> None:
    dispatcher = Dispatcher(store, Ended(claim, -signal.SIGKILL))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limit[1]))
    try:
        with pytest.raises(StoreError):
            dispatcher.turn()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert store.job(claim.job_id).state == "running"
    dispatcher.turn()
    job = store.job(claim.job_id)
    assert (job.state, job.error) == ("queued", None)
    assert dispatcher._ended == {}


@pytest.mark.parametrize(("number", "retries"), [(signal.SIGKILL, 1), (signal.SIGTERM, 0)])
def test_a_child_that_was_told_to_end_has_not_failed(
    store: Store, claim: Claim, number: signal.Signals, retries: int
) -> None:
    Dispatcher(store, Ended(claim, -number)).turn()
    with store.database.read() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == claim.job_id)).one()
    assert (row.state, row.retries) == ("queued", retries)


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


def worker(worker_id: str, pid: int = 1, host: str = "elsewhere") -> Worker:
    return Worker(id=worker_id, host=host, pid=pid, slots=1, device="cpu", started_at=0.0, heartbeat_at=0.0)


@pytest.mark.parametrize(("beats", "state"), [(True, "running"), (False, "queued")])
def test_a_child_that_has_not_begun_is_given_time_as_long_as_its_engine_lives(
    store: Store, tiny: ExperimentSpec, beats: bool, state: str
) -> None:
    store.submit(tiny)
    store.beat(worker("other"))
    claimed = store.claim("other")
    assert claimed is not None
    dispatcher = Dispatcher(store, Idle())
    for now in (0.0, 8.0, 11.0):
        if beats:
            store.beat(worker("other"))
        dispatcher._expire(now)
    job = store.job(claimed.job_id)
    assert job is not None
    assert job.state == state
    assert [one.id for one in store.workers()] == (["other"] if beats else [])


def test_an_engine_that_starts_releases_what_ended_here_and_nothing_of_other_machines(
    store: Store, tiny: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(store.database), "one_engine", False)
    ended = subprocess.Popen(["true"])
    ended.wait()
    here = socket.gethostname()
    engines = [
        worker("ended", ended.pid, here),
        worker("before a restart", os.getpid(), here),
        worker("alive", os.getppid(), here),
        worker("elsewhere", ended.pid),
    ]
    for place, one in enumerate(engines):
        store.beat(one)
        store.submit(tiny.with_settings([f"first_seed={10 * place}"]))
        store.claim(one.id)
    assert Dispatcher(store, Idle())._take_up() == 2
    assert {one.worker_id for one in store.running()} == {"alive", "elsewhere"}
    assert {one.id for one in store.workers()} == {"alive", "elsewhere"}


def test_jobs_wait_while_no_process_can_start_and_the_machine_is_asked_ever_more_seldom(
    store: Store, tiny: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [store.submit(tiny.with_settings([f"first_seed={seed}"])) for seed in (10, 20)]
    clock = [1000.0]
    monkeypatch.setattr("dropviz.engine.dispatcher.time.monotonic", lambda: clock[0])
    engine = Crowded()
    dispatcher = Dispatcher(store, engine)
    asked_at = []
    for _ in range(400):
        before = engine.asked
        dispatcher._place(2)
        asked_at += [clock[0]] * (engine.asked - before)
        dispatcher._bury()
        clock[0] += 0.25
    assert [late - early for early, late in pairwise(asked_at)] == [
        1,
        2,
        4,
        8,
        16,
        30,
        30,
    ]
    for view_id in views:
        (job,) = store.experiment(view_id).jobs
        assert (job.state, job.error) == ("queued", None)
    with store.database.read() as connection:
        assert set(connection.execute(select(jobs.c.retries)).scalars()) == {0}
    first = store.experiment(views[0]).jobs[0]
    assert first.attempt == len(asked_at)  # it kept its place
