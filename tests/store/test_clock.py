"""A machine's clock that jumps: places in the queue, what owners used, and who is silent."""

from __future__ import annotations

import pytest

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from dropviz.store.jobs import decayed_usage
from dropviz.store.leases import UNMEASURED_SECONDS

DAY = 86_400.0


class Clock:
    """Stands where it is put."""

    now = 1_000_000.0


@pytest.fixture
def clock(store: Store, monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(store.database, "now", lambda: made.now)
    return made


def submitted(store: Store, spec: ExperimentSpec, owner: str, seed: int) -> int:
    view_id = store.submit(spec.with_settings([f"first_seed={seed}"]), owner=owner)
    return store.experiment(view_id).jobs[0].id


def test_the_queue_keeps_its_order_when_the_clock_is_set_back(
    store: Store, spec: ExperimentSpec, clock: Clock
) -> None:
    queued = [submitted(store, spec, f"owner {place}", 10 * place) for place in range(2)]
    clock.now -= DAY
    queued.append(submitted(store, spec, "owner 2", 20))
    clock.now += 2 * DAY
    queued.append(submitted(store, spec, "owner 3", 30))
    claims = [store.claim("worker") for _ in queued]
    assert [claim.job_id for claim in claims if claim] == queued


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_an_owner_is_not_charged_for_a_jump_and_not_for_long(
    store: Store, spec: ExperimentSpec, clock: Clock, jump: float
) -> None:
    submitted(store, spec, "ada", 0)
    claim = store.claim("worker")
    assert claim is not None
    store.append(claim.job_id, claim.attempt, seconds={"training": 5.0})
    clock.now += jump
    store.finish(claim.job_id, claim.attempt, "done")
    with store.database.read() as connection:
        assert 0.0 <= decayed_usage(connection, clock.now).get("ada", 0.0) <= 5.0 + UNMEASURED_SECONDS
        assert decayed_usage(connection, clock.now - DAY).get("ada", 0.0) < 1e-3


def test_what_was_last_heard_of_in_a_time_to_come_is_silent(
    store: Store, spec: ExperimentSpec, clock: Clock
) -> None:
    view_id = store.submit(spec)
    claim = store.claim("worker")
    assert claim is not None
    store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
    before = store.revision(view_id)
    clock.now -= DAY
    assert store.experiment(view_id).state == "stalled"
    assert store.revision(view_id) != before
    store.append(claim.job_id, claim.attempt)
    assert store.experiment(view_id).state == "running"


def test_what_beats_and_makes_no_step_is_stalled(store: Store, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec)
    claim = store.claim("worker")
    assert claim is not None
    store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
    for rate, state in ((10.0, "running"), (0.0, "stalled"), (3.0, "running")):
        store.append(claim.job_id, claim.attempt, steps_per_second=rate)
        assert store.experiment(view_id).state == state
