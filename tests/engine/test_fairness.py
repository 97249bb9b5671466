"""In which order a real dispatcher takes what several people queued."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import select

from dropviz.experiment import ExperimentSpec
from dropviz.store.schema import jobs

from .conftest import House

PATIENCE = 300.0


@pytest.fixture
def taken(
    house: House, tiny: ExperimentSpec, wait_for: Callable[..., None]
) -> Callable[[Sequence[str]], list[str]]:
    """Have these owners queue one run each, in this order; returns them in the order in which an engine took the runs."""

    def run(queued: Sequence[str]) -> list[str]:
        for owner in queued:
            house.store.submit(tiny, owner=owner, fresh=True)
        engine = house.start("-m", "dropviz.engine")
        try:
            wait_for(lambda: house.store.live_jobs() == [], "all runs are done", PATIENCE)
        finally:
            engine.terminate()
            engine.communicate(timeout=20)
        with house.store.database.read() as connection:
            return list(connection.execute(select(jobs.c.owner).order_by(jobs.c.claimed_at)).scalars())

    return run


def test_everybody_has_a_run_before_anybody_who_queued_many_has_a_second(
    taken: Callable[[Sequence[str]], list[str]],
) -> None:
    queued = ["greedy"] * 6 + ["one", "two", "three"] + ["greedy"] * 2 + ["four"]
    assert taken(queued) == ["greedy", "one", "two", "three", "four", *["greedy"] * 7]


def test_two_who_queued_many_go_after_who_queued_one_and_neither_waits_for_all_of_the_other(
    taken: Callable[[Sequence[str]], list[str]],
) -> None:
    order = taken(["first"] * 4 + ["second"] * 4 + ["one"])
    assert order[:3] == ["first", "second", "one"]
    assert sorted(order) == ["first"] * 4 + ["one"] + ["second"] * 4
