"""A machine's clock that jumps a day: no lease expires, nothing is stopped, and no age is negative."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dropviz.experiment import ExperimentSpec
from tests.faults.injuries import DAY
from tests.faults.site import Site


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_jump_costs_a_run_nothing(
    site: Site, long: ExperimentSpec, undisturbed: Callable[[Site, str], None], jump: float
) -> None:
    view_id = site.store.submit(long, fresh=True)
    site.store.watch(view_id)  # as a command line does, which has to go on doing so
    site.child_of(view_id)
    before = site.store.experiment(view_id).jobs[0].heartbeat_at
    site.set_clock(jump)
    try:
        least = (
            0.0 if site.database else DAY / 2
        )  # a database server has a clock of its own, which goes right
        site.wait(
            lambda: abs(site.store.experiment(view_id).jobs[0].heartbeat_at - before) > least, "it beats"
        )
        site.page_says(view_id, "running", "done")
        answer = site.answering().live(view_id)["progress"]
        assert (answer["heartbeat_age"] or 0.0) >= 0.0
    finally:
        site.set_clock(0.0)
    site.store.watch(view_id)
    undisturbed(site, view_id)
    assert site.store.experiment(view_id).jobs[0].attempt == 1
