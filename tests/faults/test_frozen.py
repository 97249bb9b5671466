"""SIGSTOP and SIGCONT: whoever returns after its lease ran out is fenced out; whoever merely slept goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from dropviz.experiment import ExperimentSpec
from dropviz.store.records import LEASE_SECONDS
from tests.faults.site import Site


def test_a_child_that_stays_frozen_is_said_to_be_stalled_and_is_replaced(
    site: Site, long: ExperimentSpec, undisturbed: Callable[[Site, str], None]
) -> None:
    view_id = site.store.submit(long, fresh=True)
    child, engine = site.child_of(view_id), site.process("engine")
    site.kill(child, signal.SIGSTOP)
    with site.frozen(engine):  # it would replace the child before the page says so
        site.page_says(view_id, "stalled")
    site.wait(lambda: site.store.experiment(view_id).jobs[0].attempt == 2, "another attempt")
    undisturbed(site, view_id)
    assert child not in [one.pid for one in site.processes()]  # its engine is there to kill it


def test_a_child_that_could_not_be_killed_and_returns_after_another_has_its_job_writes_nothing(
    site: Site, long: ExperimentSpec, undisturbed: Callable[[Site, str], None]
) -> None:
    view_id = site.store.submit(long, fresh=True)
    child = site.child_of(view_id)
    site.kill(child, signal.SIGSTOP)
    first = site.store.experiment(view_id).jobs[0]
    # As the engine of another machine does, which cannot kill it; of two machines that is tests/engine/test_several.py.
    assert site.store.finish(first.id, first.attempt, "crashed", error="its lease ran out")
    site.wait(lambda: site.store.experiment(view_id).jobs[0].attempt == 2, "another attempt")
    site.kill(child, signal.SIGCONT)
    undisturbed(site, view_id)
    site.wait(lambda: not site.processes("child"), "both are gone")


def test_a_run_goes_on_while_its_engine_stands_still_and_nobody_else_takes_it_up(
    site: Site, long: ExperimentSpec, undisturbed: Callable[[Site, str], None]
) -> None:
    view_id = site.store.submit(long, fresh=True)
    site.child_of(view_id)
    engine = site.process("engine")
    with site.frozen(engine):
        undisturbed(site, view_id)
        waiting = site.store.submit(long, fresh=True)
        site.page_says(waiting, "queued")
        assert [one.pid for one in site.processes("engine")] == [engine]
    undisturbed(site, waiting)
    assert site.store.experiment(waiting).jobs[0].attempt == 1


def test_all_that_was_frozen_goes_on_where_it_was(
    site: Site, long: ExperimentSpec, undisturbed: Callable[[Site, str], None]
) -> None:
    view_id = site.store.submit(long, fresh=True)
    site.child_of(view_id)
    asleep = [one.pid for one in site.processes()]
    for pid in asleep:
        site.kill(pid, signal.SIGSTOP)
    time.sleep(LEASE_SECONDS + 1)
    for pid in asleep:
        site.kill(pid, signal.SIGCONT)
    undisturbed(site, view_id)
    assert site.store.experiment(view_id).jobs[0].attempt == 1
