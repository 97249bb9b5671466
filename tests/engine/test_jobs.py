"""Jobs in real child processes: they end, fail, stop, pause and survive kill -9 without losing a bit."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable

import numpy as np
import pytest

from dropviz.experiment import ExperimentSpec, evaluation_steps
from dropviz.store.weights import MOST_STEPS


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, list]:
    """The series of a run that nothing interrupted, made by the first test that needs it."""
    return {}


def reference(served, long: ExperimentSpec, made: dict[str, list]) -> list:
    if "series" not in made:
        view_id = served.store.submit(long, fresh=True)
        assert served.finish(view_id) == "done"
        made["series"], made["weights"] = served.series(view_id), served.weights(view_id)
    return made["series"]


def test_a_job_leaves_all_its_points_and_no_checkpoint(served, tiny: ExperimentSpec, wait_for, alive) -> None:
    view_id = served.store.submit(tiny)
    assert served.finish(view_id) == "done"
    job = served.job(view_id)
    assert (job.step, job.total, job.device, job.error) == (40, 40, "cpu", None)
    steps = [p.step for p in served.store.points(job.id) if p.name == "validation/accuracy"]
    assert steps == evaluation_steps(tiny)
    assert {p.values.shape for p in served.store.points(job.id)} == {(2,)}
    assert not (served.folder / "dropviz.checkpoints" / f"{job.id}.safetensors").exists()


def test_a_decision_surface_is_stored(served, tiny: ExperimentSpec) -> None:
    view_id = served.store.submit(tiny.with_settings(["data=two-moons"]))
    assert served.finish(view_id) == "done", served.job(view_id).traceback
    surface = served.store.snapshot(served.job(view_id).id, "surface")
    assert surface is not None
    assert (surface.step, surface.array.dtype, surface.array.ndim) == (40, np.uint8, 2)


def test_a_run_that_diverges_fails_with_its_step_and_keeps_its_points(served, tiny: ExperimentSpec) -> None:
    view_id = served.store.submit(tiny.with_settings(["train.learning_rate=1e6", "model.widths=[128,128]"]))
    assert served.finish(view_id) == "failed"
    job = served.job(view_id)
    assert job.error is not None
    assert "at step" in job.error
    assert "lower the learning rate" in job.error
    assert job.traceback is not None
    assert "Diverged" in job.traceback
    points = served.store.points(job.id)
    assert points
    assert all(
        math.isfinite(value) for point in points for value in point.values if point.name == "train/loss"
    )


def test_stop_ends_the_process_and_keeps_the_points(
    served, endless: ExperimentSpec, wait_for: Callable, alive: Callable
) -> None:
    view_id = served.store.submit(endless)
    pid = served.running_pid(view_id)
    served.store.request(view_id, "stop")
    wait_for(lambda: not alive(pid), "the process is gone", 10)
    wait_for(lambda: served.job(view_id).state == "stopped", "stopped", 10)
    assert served.series(view_id)


def test_a_child_that_hangs_is_killed_by_stop(
    served, endless: ExperimentSpec, wait_for: Callable, alive: Callable
) -> None:
    view_id = served.store.submit(endless)
    pid = served.running_pid(view_id)
    os.kill(pid, signal.SIGSTOP)
    served.store.request(view_id, "stop")
    wait_for(lambda: not alive(pid), "the process is gone", 20)  # it may have stopped in a write
    wait_for(lambda: served.job(view_id).state == "stopped", "stopped", 10)


@pytest.mark.slow
def test_a_child_killed_mid_run_resumes_and_ends_bit_identical(
    served, long: ExperimentSpec, undisturbed: dict[str, list], wait_for: Callable
) -> None:
    expected = reference(served, long, undisturbed)
    view_id = served.store.submit(long, fresh=True)
    pid = served.running_pid(view_id)
    job = served.job(view_id)
    wait_for((served.folder / "dropviz.checkpoints" / f"{job.id}.safetensors").exists, "a checkpoint")
    saved = served.job(view_id).step
    wait_for(lambda: served.job(view_id).step > saved, "points past the checkpoint")
    os.kill(pid, signal.SIGKILL)
    assert served.finish(view_id) == "done"
    resumed = served.job(view_id)
    assert (resumed.attempt, resumed.epoch) == (2, 1)
    assert served.series(view_id) == expected
    assert served.weights(view_id) == undisturbed["weights"]
    assert len(undisturbed["weights"]) == MOST_STEPS


def test_pause_step_and_resume_end_bit_identical(
    served, long: ExperimentSpec, undisturbed: dict[str, list], wait_for: Callable, alive: Callable
) -> None:
    expected = reference(served, long, undisturbed)
    view_id = served.store.submit(long, fresh=True)
    pid = served.running_pid(view_id, step=200)
    served.store.request(view_id, "pause")
    wait_for(lambda: served.store.experiment(view_id).state == "paused", "paused")
    wait_for(lambda: not alive(pid), "the slot is free")
    for _ in range(2):
        before = served.job(view_id).step
        served.store.request(view_id, "step")
        wait_for(lambda: served.store.experiment(view_id).state == "paused", "paused again")
        assert served.job(view_id).step == (before // 100 + 1) * 100
    served.store.request(view_id, "run")
    assert served.finish(view_id) == "done"
    assert served.job(view_id).epoch == 0  # nothing was lost, so no cursor starts over
    assert served.series(view_id) == expected


def test_pause_does_not_wait_for_an_evaluation_that_is_far_away(
    served, endless: ExperimentSpec, wait_for: Callable
) -> None:
    view_id = served.store.submit(endless.with_settings(["observe.evaluations=1"]))
    wait_for(lambda: served.job(view_id).step > 0, "it trains")
    served.store.request(view_id, "pause")
    wait_for(lambda: served.job(view_id).state == "paused", "paused", 10)
    paused_at = served.job(view_id).step
    assert 0 < paused_at < 900_000
    served.store.request(view_id, "run")
    wait_for(lambda: served.job(view_id).step > paused_at, "it goes on")
    served.store.request(view_id, "stop")
    wait_for(lambda: served.job(view_id).state == "stopped", "stopped", 10)


def test_a_child_that_falls_silent_is_replaced(served, endless: ExperimentSpec, wait_for: Callable) -> None:
    view_id = served.store.submit(endless.with_settings(["first_seed=9"]))
    pid = served.running_pid(view_id)
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: served.store.experiment(view_id).state == "stalled", "it is seen to be silent")
    wait_for(
        lambda: served.job(view_id).attempt == 2 and served.job(view_id).pid not in (None, pid), "replaced"
    )
    served.store.request(view_id, "stop")
    wait_for(lambda: served.job(view_id).state == "stopped", "stopped", 10)


def test_a_child_that_dies_three_times_fails_with_the_reason(
    served, endless: ExperimentSpec, wait_for: Callable
) -> None:
    view_id = served.store.submit(endless)
    for attempt in (1, 2, 3):
        wait_for(
            lambda n=attempt: served.job(view_id).attempt == n and served.job(view_id).pid, "the next attempt"
        )
        os.kill(served.job(view_id).pid, signal.SIGKILL)
    assert served.finish(view_id) == "failed"
    error = served.job(view_id).error
    assert error is not None
    assert "killed by signal 9 (SIGKILL), 3 times" in error
