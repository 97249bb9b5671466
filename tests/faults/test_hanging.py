"""Training that never comes back, and training that asks for more memory than there is."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec
from tests.faults.site import Site

EXTRA_BYTES = 400 * 2**20


@pytest.fixture
def hanging(open_site: Callable[..., Site]) -> Site:
    """A site with little patience."""
    site = open_site(DROPVIZ_STEP_MINUTES="0.4")
    site.serve()
    site.answering()
    return site


def test_a_step_that_never_ends_is_said_to_be_stalled_and_fails_with_the_place_where_it_hangs(
    hanging: Site, tiny: ExperimentSpec
) -> None:
    hanging.set_step("hang")
    view_id = hanging.store.submit(tiny)
    hanging.page_says(view_id, "stalled")
    assert hanging.answering().live(view_id)["progress"]["idle"]
    assert hanging.finish(view_id) == "failed"
    job = hanging.store.experiment(view_id).jobs[0]
    assert job.error == (
        "The training process made no step for 0.4 minutes (DROPVIZ_STEP_MINUTES), so it was ended."
    )
    assert "in linger" in job.traceback


@pytest.mark.parametrize("told", ["hang", "hang alone"])
def test_a_step_that_never_ends_is_stopped_with_its_process(
    hanging: Site, tiny: ExperimentSpec, told: str
) -> None:
    hanging.set_step(told)
    view_id = hanging.store.submit(tiny, fresh=True)
    child = hanging.child_of(view_id, step=0)
    hanging.store.request(view_id, "stop")
    hanging.wait(lambda: child not in [one.pid for one in hanging.processes()], "it is gone")
    hanging.page_says(view_id, "stopped")


def test_a_step_that_never_ends_and_lets_no_other_thread_run_fails_for_its_silence(
    hanging: Site, tiny: ExperimentSpec
) -> None:
    hanging.set_step("hang alone")
    view_id = hanging.store.submit(tiny, fresh=True)
    hanging.child_of(view_id, step=0)
    hanging.page_says(view_id, "stalled")
    assert hanging.finish(view_id) == "failed"
    assert "was silent for 10 seconds, 3 times" in hanging.store.experiment(view_id).jobs[0].error


def test_a_run_that_asks_for_too_much_memory_fails_and_the_next_one_does_not(
    open_site: Callable[..., Site], tiny: ExperimentSpec
) -> None:
    site = open_site()  # of its own: a failed run is an unexpected one wherever faults are looked for
    site.serve()
    site.answering()
    assert site.finish(site.store.submit(tiny, fresh=True)) == "done"
    server = site.process("fork server")
    used = next(
        int(line.split()[1]) * 1024
        for line in Path(f"/proc/{server}/status").read_text().splitlines()
        if line.startswith("VmSize")
    )
    old = resource.prlimit(server, resource.RLIMIT_AS, (used + EXTRA_BYTES, resource.RLIM_INFINITY))
    try:
        view_id = site.store.submit(tiny.with_settings(["model.widths=[4000,4000]"]), fresh=True)
        assert site.finish(view_id) == "failed"
    finally:
        resource.prlimit(server, resource.RLIMIT_AS, old)
    assert site.store.experiment(view_id).jobs[0].error == (
        "The device ran out of memory: fewer seeds, a smaller model or smaller minibatches need less."
    )
    again = site.store.submit(tiny, fresh=True)
    assert site.finish(again) == "done"
    assert site.process("fork server") == server
