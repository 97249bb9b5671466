"""kill -9 of every process under ``dropviz serve``: the run goes on from its last checkpoint, and ends as if nothing had been."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from dropviz.experiment import ExperimentSpec
from tests.faults.invariants import strays
from tests.faults.site import Site

Undisturbed = Callable[[Site, str], None]


@pytest.mark.parametrize("role", ["child", "fork server", "engine"])
def test_a_run_survives_the_end_of(
    site: Site, long: ExperimentSpec, undisturbed: Undisturbed, role: str
) -> None:
    view_id = site.store.submit(long, fresh=True)
    child = site.child_of(view_id)
    site.checkpointed(view_id)
    site.kill({"child": child, "fork server": site.parent(child)}.get(role) or site.process(role))
    site.page_is_true(view_id)
    site.wait(lambda: child not in [one.pid for one in site.processes()], "the child is gone")
    undisturbed(site, view_id)
    job = site.store.experiment(view_id).jobs[0]
    assert job.attempt == 2
    site.wait(lambda: not site.processes("child"), "no child is left")
    assert not site.doubled()


def test_the_page_comes_back_and_the_run_never_notices(
    site: Site, long: ExperimentSpec, undisturbed: Undisturbed
) -> None:
    view_id = site.store.submit(long, fresh=True)
    child, engine, page = site.child_of(view_id), site.process("engine"), site.process("page")
    site.kill(page)
    site.page_is_true(view_id)
    assert page not in [one.pid for one in site.processes("page")]
    undisturbed(site, view_id)
    assert site.process("engine") == engine
    assert site.store.experiment(view_id).jobs[0].attempt == 1
    assert child not in [one.pid for one in site.processes()]


def test_a_process_that_is_told_to_end_is_no_failure_of_its_job(site: Site, endless: ExperimentSpec) -> None:
    view_id = site.store.submit(endless)
    for attempt in range(1, 5):
        site.wait(
            lambda n=attempt: (
                site.store.experiment(view_id).jobs[0].attempt == n
                and site.store.experiment(view_id).jobs[0].pid
            ),
            "the next attempt",
        )
        site.kill(site.store.experiment(view_id).jobs[0].pid, signal.SIGTERM)
        site.page_is_true(view_id)
    site.page_says(view_id, "running")
    site.wait(lambda: not strays(site.store, site.processes()), "no process runs for nobody")
    site.store.request(view_id, "stop")
    site.page_says(view_id, "stopped")
