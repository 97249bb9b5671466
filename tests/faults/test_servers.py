"""``dropviz serve`` itself: killed, restarted as a container is, and started twice on one data directory."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator

import pytest

from dropviz.commands.serve import OPEN_FILES
from dropviz.experiment import ExperimentSpec
from tests.faults.site import Site

SLOW = "0.05"  # seconds a step: it still runs when another server has started


def test_nothing_is_left_of_a_server_that_is_killed_and_the_next_one_goes_on(
    open_site: Callable[..., Site], long: ExperimentSpec, undisturbed: Callable[[Site, str], None]
) -> None:
    site = open_site()
    site.set_step(SLOW)
    site.serve()
    site.answering()
    view_id = site.store.submit(long, fresh=True)
    site.checkpointed(view_id)
    site.servers[0].process.kill()
    site.bury()
    assert site.store.experiment(view_id).jobs[0].state == "running"  # as the store knew it last
    site.serve()
    site.page_is_true(view_id)
    site.checkpointed(view_id)
    site.set_step("0")
    site.restart_container()
    undisturbed(site, view_id)
    assert site.store.experiment(view_id).jobs[0].attempt == 3
    assert site.store.experiment(view_id).jobs[0].error is None


def test_of_two_servers_one_has_the_engine_and_the_other_takes_over(
    open_site: Callable[..., Site], long: ExperimentSpec, undisturbed: Callable[[Site, str], None]
) -> None:
    site = open_site()
    site.set_step(SLOW)
    first = site.serve()
    site.wait(first.healthy, "the first page answers")
    second = site.serve()
    site.wait(second.healthy, "the second page answers")
    view_id = site.store.submit(long, fresh=True)
    child = site.child_of(view_id)
    site.wait(lambda: second.live(view_id).get("state") == "running", "the second page shows the run")
    (engine,) = site.processes("engine")
    assert engine.parent == first.process.pid
    site.set_step("0")
    first.process.kill()
    first.process.wait()
    site.page_is_true(view_id)
    assert child not in [one.pid for one in site.processes()]
    undisturbed(site, view_id)
    assert [one.parent for one in site.processes("engine")] == [second.process.pid]


@pytest.fixture
def usual_files() -> Iterator[int]:
    """Have what is started from here no more files open than a login shell lets it by default; the most it may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
        pytest.skip("nobody may have more files open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        yield OPEN_FILES
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_page_may_have_as_many_files_open_as_a_class_takes(
    open_site: Callable[..., Site], usual_files: int
) -> None:
    site = open_site()
    site.serve()
    site.answering()
    assert resource.prlimit(site.process("page"), resource.RLIMIT_NOFILE)[0] == usual_files
