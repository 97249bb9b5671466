"""Who writes for one job does not wait for the rest of the store, and yet nothing of a superseded attempt is ever kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dropviz.experiment import ExperimentSpec
from dropviz.store import Claim, Point, Store, leases, points

PATIENCE_SECONDS = 60.0


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Store]:
    opened = Store.open()
    yield opened
    opened.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def point(seq: int, value: float = 0.0) -> Point:
    return Point(seq=seq, step=seq, name="train/loss", values=np.array([value]))


def started(store: Store, spec: ExperimentSpec, first_seed: int = 0) -> Claim:
    store.submit(spec.with_settings([f"first_seed={first_seed}"]))
    claim = store.claim("worker")
    assert claim is not None
    begin(store, claim)
    return claim


def begin(store: Store, claim: Claim, seq: int = -1) -> None:
    assert store.begin(claim.job_id, claim.attempt, seq=seq, step=0, pid=1, device="cpu") == "run"


def somebody_waits(store: Store) -> None:
    """Until a session of this server waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with store.database.read() as connection:
            if connection.exec_driver_sql(query).scalar():
                return
        assert time.monotonic() < deadline, "nobody waits for a lock"
        time.sleep(0.01)


def test_a_child_writes_while_somebody_else_holds_the_stores_lock(
    postgres: Store, spec: ExperimentSpec
) -> None:
    claim = started(postgres, spec)
    with postgres.database.write():
        assert postgres.append(claim.job_id, claim.attempt, [point(0)]) == "run"
    assert [one.seq for one in postgres.points(claim.job_id)] == [0]


def test_children_of_different_jobs_do_not_wait_for_each_other(postgres: Store, spec: ExperimentSpec) -> None:
    one, other = started(postgres, spec), started(postgres, spec, first_seed=10)
    with postgres.database.write(alone=False) as connection:
        points.append(connection, one.job_id, one.attempt, [point(0)], 1.0, seconds={})
        assert postgres.append(other.job_id, other.attempt, [point(0)]) == "run"


def test_an_attempt_ends_after_what_it_is_writing(
    postgres: Store, spec: ExperimentSpec, pool: ThreadPoolExecutor
) -> None:
    claim = started(postgres, spec)
    with postgres.database.write(alone=False) as connection:
        wants = points.append(connection, claim.job_id, claim.attempt, [point(0)], 1.0, seconds={})
        assert wants == "run"
        ending = pool.submit(postgres.finish, claim.job_id, claim.attempt, "crashed", error="It died")
        somebody_waits(postgres)
        assert not ending.done()
    assert ending.result(PATIENCE_SECONDS)
    assert [one.seq for one in postgres.points(claim.job_id)] == [0]
    successor = postgres.claim("worker")
    assert successor is not None
    begin(postgres, successor)
    assert postgres.points(claim.job_id) == []


@pytest.mark.parametrize("outcome", ["crashed", "released", "done"])
def test_what_comes_while_an_attempt_is_being_ended_is_not_written(
    postgres: Store, spec: ExperimentSpec, pool: ThreadPoolExecutor, outcome: str
) -> None:
    claim = started(postgres, spec)
    with postgres.database.write() as connection:
        assert leases.finish(connection, claim.job_id, claim.attempt, outcome, 1.0, error="It died")  # type: ignore[arg-type]
        late = pool.submit(postgres.append, claim.job_id, claim.attempt, [point(0)])
        somebody_waits(postgres)
        assert not late.done()
    assert late.result(PATIENCE_SECONDS) == "superseded"
    assert postgres.points(claim.job_id) == []


def test_who_joins_a_job_does_not_wait_for_what_its_child_writes(
    postgres: Store, spec: ExperimentSpec
) -> None:
    claim = started(postgres, spec)
    with postgres.database.write(alone=False) as connection:
        points.append(connection, claim.job_id, claim.attempt, [point(0)], 1.0, seconds={})
        joined = postgres.experiment(postgres.submit(spec))
    assert [job.id for job in joined.jobs] == [claim.job_id]


def test_stale_attempts_that_go_on_writing_change_nothing(store: Store, spec: ExperimentSpec) -> None:
    claim = started(store, spec)
    owners: list[int] = []  # of each point that has to be there at the end
    threads = []
    for turn in range(6):
        threads.append(_keep_writing(store, claim, len(owners)))
        _until(lambda: store.last_seq(claim.job_id) >= len(owners) + 3)  # noqa: B023 - called at once
        assert store.finish(claim.job_id, claim.attempt, "released")
        kept = store.last_seq(claim.job_id) - turn % 3  # some turns lose a few points, as after a crash
        owners += [claim.attempt] * (kept + 1 - len(owners))
        successor = store.claim("worker")
        assert successor is not None
        begin(store, successor, seq=kept)
        claim = successor
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    found = store.points(claim.job_id)
    assert [one.seq for one in found] == list(range(len(owners)))
    assert [one.values[0] for one in found] == owners


def _keep_writing(store: Store, claim: Claim, first: int) -> threading.Thread:
    """A child that notices nothing: even when it is told that it was superseded, it tries again."""

    def write() -> None:
        seq, refused = first, 0
        while refused < 20:
            told = store.append(claim.job_id, claim.attempt, [point(seq, claim.attempt)])
            refused += told == "superseded"
            seq += 1

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_reader_sees_one_moment(store: Store, spec: ExperimentSpec) -> None:
    count = "SELECT count(*) FROM jobs"
    with store.database.read() as connection:
        before = connection.exec_driver_sql(count).scalar()
        store.submit(spec)
        assert connection.exec_driver_sql(count).scalar() == before == 0
    with store.database.read() as connection:
        assert connection.exec_driver_sql(count).scalar() == 1


def test_engines_that_claim_at_once_never_get_the_same_job(
    store: Store, spec: ExperimentSpec, pool: ThreadPoolExecutor
) -> None:
    for seed in range(0, 120, 10):
        store.submit(spec.with_settings([f"first_seed={seed}"]))

    def claims(worker: int) -> list[int]:
        found = []
        while claim := store.claim(f"worker {worker}"):
            found.append(claim.job_id)
        return found

    got = [job for part in pool.map(claims, range(4)) for job in part]
    assert len(got) == len(set(got)) == 12
