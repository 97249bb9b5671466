"""How far an experiment is: fractions by work, and the line that a person reads in each state."""

from __future__ import annotations

from typing import Any

import pytest

from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Experiment, Store
from dropviz.strategies import examples
from dropviz.web.progress import arm_cost, last_line, message, progress


def shown(store: Store, view_id: str, *, after: float = 0.0, position: int = 0) -> dict[str, Any]:
    experiment = store.experiment(view_id)
    return progress(experiment, position, experiment.created_at + after)


def test_nothing_is_done_in_the_queue(store: Store, spec: ExperimentSpec) -> None:
    found = shown(store, store.submit(spec), position=4)
    assert (found["fraction"], found["step"], found["total"]) == (0.0, 0, 3 * 40)
    assert found["queue_position"] == 4
    assert (
        found["eta_seconds"] is found["steps_per_second"] is found["device"] is found["heartbeat_age"] is None
    )
    assert found["message"] == "none: step 0 of 40 · 0 of 3 arms done"


def test_the_fraction_grows_to_one_and_costlier_arms_weigh_more(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    view_id = store.submit(spec)
    fractions = [0.0]
    for _ in spec.arms:
        claim = engine.start()
        for step in (0, 10, 20, 30, 40):
            engine.train(claim, [step])
            fractions.append(shown(store, view_id)["fraction"])
        engine.finish(claim)
        fractions.append(shown(store, view_id)["fraction"])
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert fractions[6] < 1 / 3  # none is the cheapest of the three


@pytest.mark.parametrize("arm", examples())
def test_every_arm_has_a_cost_above_that_of_a_plain_step(arm: str) -> None:
    spec = preset("noisy-digits")
    assert arm_cost(spec, arm) >= arm_cost(spec, "none") == 1.0


def test_more_masks_and_classes_cost_more() -> None:
    spec = preset("noisy-digits")
    assert arm_cost(spec, "dropout-8") > arm_cost(spec, "dropout-2") > arm_cost(spec, "dropout")
    assert arm_cost(spec, "dropout-8+mask-noise") > arm_cost(spec, "dropout-8")
    assert arm_cost(spec, "explicit") > arm_cost(spec.with_settings(["data=two-moons"]), "explicit")
    assert arm_cost(spec, "explicit") > arm_cost(
        spec.with_settings(["surrogate.estimator=sampled-label"]), "explicit"
    )


def test_the_time_left_is_told_after_5_percent_or_3_seconds(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    view_id = store.submit(spec)
    claim = engine.start()
    engine.train(claim, [0])
    assert shown(store, view_id, after=2.9)["eta_seconds"] is None
    assert shown(store, view_id, after=3.0)["eta_seconds"] > 0
    engine.train(claim, [10, 20, 30])
    assert shown(store, view_id, after=0.0)["eta_seconds"] > 0


def test_the_time_left_is_the_work_left_at_the_current_rate(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    view_id = store.submit(spec.with_settings(['arms=["none"]']))
    engine.train(engine.start(), [0, 10])
    found = shown(store, view_id)
    assert (found["steps_per_second"], found["eta_seconds"]) == (100.0, 0.3)


def test_the_time_left_is_told_only_while_it_runs(store: Store, engine, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec)
    engine.train(engine.start(), [0, 10])
    store.request(view_id, "stop")
    assert store.experiment(view_id).state == "stopped"
    assert shown(store, view_id)["eta_seconds"] is None


def test_device_and_heartbeat_are_those_of_the_running_job(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    view_id = store.submit(spec)
    claim = engine.start()
    engine.train(claim, [0])
    job = store.job(claim.job_id)
    assert job is not None
    assert job.heartbeat_at is not None
    found = progress(store.experiment(view_id), 0, job.heartbeat_at + 7)
    assert (found["device"], found["heartbeat_age"]) == ("cpu", 7.0)
    assert progress(store.experiment(view_id), 0, job.heartbeat_at - 7)["heartbeat_age"] == 0.0
    assert found["idle"] is False
    said = progress(store.experiment(view_id), 0, job.heartbeat_at, "The server's disk is full.")
    assert said["message"] == "The server's disk is full."


def said(store: Store, view_id: str) -> str:
    return message(store.experiment(view_id))


def test_the_line_names_the_arm_that_trains(store: Store, engine, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec)
    first = engine.start()
    engine.train(first)
    engine.finish(first)
    second = engine.start()
    engine.train(second, [0, 10])
    assert said(store, view_id) == f"{second.arm}: step 10 of 40 · 1 of 3 arms done"
    store.request(view_id, "pause")
    engine.finish(second, "paused")
    assert said(store, view_id) == f"{second.arm}: step 10 of 40 · 1 of 3 arms done"


def test_an_arm_is_done_when_all_of_its_jobs_are(store: Store, engine, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec.with_settings(['arms=["none"]', "seeds=70"]))
    assert len(store.experiment(view_id).jobs) == 2
    claim = engine.start()
    engine.train(claim)
    engine.finish(claim)
    assert said(store, view_id).endswith("0 of 1 arms done")


def test_the_end_is_said_in_a_word(store: Store, engine, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec)
    engine.run_all()
    assert said(store, view_id) == "Done."
    assert said(store, store.submit(spec)) == "Done: taken from cache."


def test_a_failure_names_the_arm_and_the_reason(store: Store, engine, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec)
    claim = engine.start()
    engine.train(claim, [0])
    engine.finish(claim, "failed", error="The loss of seed 0 was not finite at step 3: lower the rate.")
    engine.run_all()
    experiment: Experiment = store.experiment(view_id)
    assert experiment.state == "failed"
    assert message(experiment) == (
        f"{claim.arm} failed. The loss of seed 0 was not finite at step 3: lower the rate."
        " The points up to there are kept."
    )


def test_what_was_stopped_does_not_promise_to_go_on_where_it_was(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    """A stopped job is final: running the same experiment again computes it from step 0."""
    view_id = store.submit(spec)
    claim = engine.start()
    engine.train(claim, [0, 10])
    store.request(view_id, "stop")
    engine.finish(claim, "stopped")
    assert said(store, view_id).startswith("Stopped. What was computed is kept")
    again = store.experiment(store.submit(spec))
    resumes = any(job.id == claim.job_id for job in again.jobs)
    assert resumes or "go on" not in said(store, view_id)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("It broke", "It broke."),
        ("It broke!", "It broke!"),
        ("Traceback\n  File x\nValueError: too small\n\n", "too small."),
        ("torch.cuda.OutOfMemoryError: no memory.", "no memory."),
        ("dropviz.training.Diverged: the loss was not finite", "the loss was not finite."),
        (None, "No reason was recorded."),
        ("  \n ", "No reason was recorded."),
    ],
)
def test_the_last_line_of_an_error_is_a_sentence(error: str | None, line: str) -> None:
    assert last_line(error) == line
