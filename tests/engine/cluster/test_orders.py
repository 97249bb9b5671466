"""What a worker remembers of its orders: none is carried out twice, and a life of months does not add up."""

from __future__ import annotations

import json

import pytest

from dropviz.engine.cluster import remote
from dropviz.engine.cluster.facts import PROCESS
from tests.web.loops import run_apart


@pytest.fixture(autouse=True)
def _nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_ended", type(remote._ended)())


def call_off(names: list[str]) -> None:
    """Have orders called off before they come."""

    async def all_of_them() -> None:
        assert not any([await remote.stop(name) for name in names])

    run_apart(all_of_them)


def run(name: str) -> int:
    """Give an order whose job nothing can run, as it has no seeds."""
    return run_apart(remote.run, json.dumps({"name": name, "process": PROCESS, "claim": {}, "jobs": 1}))


def test_the_latest_orders_are_refused_and_of_very_many_the_oldest_are_forgotten() -> None:
    names = [f"order {number}" for number in range(remote.REMEMBERED + 500)]
    call_off(names)
    for name in (names[-1], names[-remote.REMEMBERED]):
        with pytest.raises(RuntimeError, match="came twice"):
            run(name)
    assert list(remote._ended) == names[-remote.REMEMBERED :]


def test_an_order_that_is_called_off_again_counts_as_a_late_one() -> None:
    names = [f"order {number}" for number in range(remote.REMEMBERED)]
    call_off([*names, names[0], "one more"])
    with pytest.raises(RuntimeError, match="came twice"):
        run(names[0])
    assert names[1] not in remote._ended


def test_an_order_that_was_carried_out_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoMemory:
        def start(self, *_: object) -> None:
            raise OSError("no process can be started")

    monkeypatch.setattr(remote, "_nursery", NoMemory)
    claim = {"job_id": 1, "attempt": 1, "spec": "", "arm": "", "seeds": [], "advance_once": False}
    order = json.dumps({"name": "one", "process": PROCESS, "claim": claim, "jobs": 1})
    with pytest.raises(OSError, match="no process"):
        run_apart(remote.run, order)
    with pytest.raises(RuntimeError, match="came twice"):
        run_apart(remote.run, order)
    assert not remote._running
