"""Jobs that measure, in real child processes: what a spec costs, and the spectrum of weights that were kept."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import numpy as np
import pytest

from dropviz.experiment import ExperimentSpec, evaluation_steps
from dropviz.store import Job
from dropviz.store.records import FINAL

REFRESHED = ("spectrum", "alignment", "law")


def refresh(house, view_id: str) -> Job:
    """The latest refresh of an experiment's first job."""
    return house.store.refresh_jobs([house.job(view_id).id])[-1]


@pytest.fixture
def dear(tiny: ExperimentSpec) -> ExperimentSpec:
    """Trained at once, and long to measure."""
    return tiny.with_settings(["model.widths=[128,128]", "observe.probe=1024", "observe.statistics=0"])


def test_an_estimate_measures_every_arm(served, tiny: ExperimentSpec, wait_for: Callable) -> None:
    spec = tiny.with_settings(['arms=["none", "dropout-8"]'])
    served.store.request_estimate(spec)
    wait_for(lambda: served.store.estimate(spec).state in FINAL, "the estimate")
    found = served.store.estimate(spec)
    job = served.store.job(found.job_id)
    assert (found.state, job.step, job.total) == ("done", 2, 2), job.traceback
    assert set(found.costs) == {"none", "dropout-8"}
    for costs in found.costs.values():
        assert all(value > 0 for name, value in vars(costs).items() if name != "picture")
        assert costs.picture < costs.evaluation


def test_an_estimate_that_cannot_be_measured_says_why(
    served, tiny: ExperimentSpec, wait_for: Callable
) -> None:
    spec = tiny.with_settings(["data=mnist"])
    served.store.request_estimate(spec)
    wait_for(lambda: served.store.estimate(spec).state in FINAL, "the estimate")
    found = served.store.estimate(spec)
    assert found.state == "failed"
    assert "dropviz data fetch mnist" in found.error
    assert found.costs == {}


def test_a_refresh_on_request_has_the_numbers_of_one_that_was_planned(
    served, tiny: ExperimentSpec, wait_for: Callable
) -> None:
    planned = served.store.submit(tiny.with_settings(["observe.refreshes=3"]))
    asked = served.store.submit(tiny)
    assert served.finish(planned) == served.finish(asked) == "done"
    served.store.request_refresh(asked, "dropout", 10)
    wait_for(lambda: refresh(served, asked).state in FINAL, "the refresh")
    job = refresh(served, asked)
    assert (job.state, job.error) == ("done", None)
    assert job.statistics_seconds > 0
    there = {p.name: p.values for p in served.store.points(served.job(planned).id) if p.step == 10}
    found = {p.name: p.values for p in served.store.points(job.id)}
    spectrum = [name for name in there if name.partition("/")[0] in REFRESHED]
    assert len(spectrum) > 20
    for name in spectrum:
        assert there[name].tobytes() == found[name].tobytes(), name
    for name in ("spectrum/density", "slice/loss", "slice/axes"):
        one, other = (served.store.snapshot(number, name) for number in (served.job(planned).id, job.id))
        assert (other.step, other.array.dtype, other.array.shape) == (10, np.float32, one.array.shape)
    assert {"curvature/hessian_trace", "regularizer/monte_carlo", "calibration/error"} <= set(found)


def test_weights_are_kept_at_evaluation_steps_and_no_more_than_fit(served, tiny: ExperimentSpec) -> None:
    view_id = served.store.submit(tiny)
    assert served.finish(view_id) == "done"
    job = served.job(view_id)
    assert served.store.weights.steps(job.id) == evaluation_steps(tiny)
    assert job.training_seconds > 0
    assert job.evaluation_seconds > 0
    assert job.statistics_seconds > 0


def test_a_refresh_whose_child_is_killed_is_tried_again_and_one_that_is_stopped_is_not(
    served, dear: ExperimentSpec, wait_for: Callable, alive: Callable
) -> None:
    view_id = served.store.submit(dear)
    assert served.finish(view_id) == "done"
    served.store.request_refresh(view_id, "dropout", 20)
    wait_for(lambda: refresh(served, view_id).pid, "it runs")
    os.kill(refresh(served, view_id).pid, signal.SIGKILL)
    wait_for(lambda: refresh(served, view_id).state in FINAL, "the refresh")
    job = refresh(served, view_id)
    assert (job.state, job.attempt) == ("done", 2)
    served.store.request_refresh(view_id, "dropout", 30)
    wait_for(lambda: refresh(served, view_id).pid, "it runs")
    pid = refresh(served, view_id).pid
    served.store.stop_job(refresh(served, view_id).id)
    wait_for(lambda: not alive(pid), "the process is gone", 10)
    wait_for(lambda: refresh(served, view_id).state == "stopped", "stopped", 10)
    assert served.store.points(refresh(served, view_id).id) == []
