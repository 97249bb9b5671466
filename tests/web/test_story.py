"""The sentence, the ladder and the shaded effects while an experiment is under way and when it is done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dropviz.analysis import decompose, mean_interval
from dropviz.analysis.headline import headline
from dropviz.charts import Subject
from dropviz.experiment import ExperimentSpec
from dropviz.store import Point
from dropviz.task import classification
from dropviz.web.aggregate import Aggregate
from dropviz.web.story import effects, story

VALIDATION, TEST = "validation/accuracy", "test/accuracy"
FINAL = {"none": [0.60, 0.61, 0.59], "dropout": [0.71, 0.70, 0.69], "dropout-8": [0.68, 0.69, 0.67]}


def aggregate(spec: ExperimentSpec, reached: dict[str, list[int]], metric: str = VALIDATION) -> Aggregate:
    """Each arm with its points at these steps; below the last step all values are 0.3 lower."""
    places = {arm: [(place, seed) for seed in range(3)] for place, arm in enumerate(spec.arms)}
    found = Aggregate(places, stride=1, interval=10, last_step=40)
    for place, arm in enumerate(spec.arms):
        for step in reached.get(arm, []):
            values = np.array(FINAL[arm]) - (0 if step == 40 else 0.3)
            found.add(place, [Point(seq=0, step=step, name=metric, values=values)])
    return found


def text(found: dict[str, Any]) -> str:
    return "".join(part["text"] for part in found["headline"]["parts"])


def test_before_the_first_points_it_asks_for_patience(spec: ExperimentSpec) -> None:
    found = story(spec, aggregate(spec, {}), state="running")
    assert text(found) == "The first points arrive in a moment."
    assert (found["ladder"], found["effects"]) == ({}, {})
    waiting = story(spec, aggregate(spec, {}), state="queued")
    assert text(waiting) == "The first points arrive when it is this run's turn."


@pytest.mark.parametrize(
    ("reached", "sentence"),
    [
        ({"none": [0, 40]}, "The gain of dropout shows as soon as dropout has trained."),
        ({"dropout": [0, 40]}, "The gain of dropout shows as soon as none has trained."),
        ({"dropout-8": [0, 40]}, "The gain of dropout shows as soon as none and dropout have trained."),
        ({"none": [0, 40], "dropout": [0, 10]}, "The gain of dropout shows as soon as dropout has trained."),
    ],
)
def test_until_both_ends_have_trained_it_says_what_is_missing(
    spec: ExperimentSpec, reached: dict[str, list[int]], sentence: str
) -> None:
    assert text(story(spec, aggregate(spec, reached), state="running")) == sentence


@pytest.mark.parametrize(
    ("state", "reached", "sentence"),
    [
        ("stopped", {}, "No arm has a result, so there is no gain to take apart."),
        ("failed", {"none": [0, 40]}, "Dropout has no result, so there is no gain to take apart."),
    ],
)
def test_what_has_ended_is_not_said_to_be_on_its_way(spec, state: str, reached, sentence: str) -> None:
    assert text(story(spec, aggregate(spec, reached), state=state)) == sentence


def test_an_arm_that_failed_is_not_said_to_be_on_its_way(spec: ExperimentSpec) -> None:
    found = story(spec, aggregate(spec, {"none": [0, 40]}), state="running", failed={"dropout"})
    assert text(found) == "Dropout has no result, so there is no gain to take apart."


def test_an_experiment_without_dropout_is_told_what_to_add(spec: ExperimentSpec) -> None:
    spec = spec.with_settings(['arms=["none", "dropout-8"]'])
    found = story(spec, aggregate(spec, {"none": [40], "dropout-8": [40]}), state="running")
    assert "add the arm dropout" in text(found)


def test_the_sentence_is_the_analysis_of_the_seeds_at_the_step_compared(spec: ExperimentSpec) -> None:
    found = story(spec, aggregate(spec, {arm: [0, 40] for arm in spec.arms}), state="running")
    values = {arm: dict(zip(spec.seed_list(), seeds, strict=True)) for arm, seeds in FINAL.items()}
    expected = headline(decompose(values, VALIDATION), spec)
    assert [(part["text"], part["strong"]) for part in found["headline"]["parts"]] == list(expected.parts)
    assert found["headline"]["note"] == expected.note
    assert "validation accuracy" in text(found)
    assert found["ladder_title"] == "validation accuracy"


def test_the_test_split_is_read_when_all_is_done_and_not_before(spec: ExperimentSpec) -> None:
    found = aggregate(spec, {arm: [40] for arm in spec.arms})
    for place, arm in enumerate(spec.arms):
        values = np.array(FINAL[arm]) + 0.01
        found.add(place, [Point(seq=1, step=40, name=TEST, values=values)])
    before, after = (story(spec, found, state=state) for state in ("running", "done"))
    assert (before["ladder_title"], after["ladder_title"]) == ("validation accuracy", "test accuracy")
    assert before["ladder"]["none"]["mean"] == 0.60
    assert after["ladder"]["none"]["mean"] == 0.61
    assert "test accuracy" in text(after)


def test_the_test_split_is_not_read_for_some_of_the_arms_only(spec: ExperimentSpec) -> None:
    found = aggregate(spec, {arm: [40] for arm in spec.arms})
    found.add(0, [Point(seq=1, step=40, name=TEST, values=np.array(FINAL["none"]))])
    assert story(spec, found, state="done")["ladder_title"] == "validation accuracy"


def test_a_rung_holds_its_seeds_their_mean_and_its_interval(spec: ExperimentSpec) -> None:
    rung = story(spec, aggregate(spec, {"none": [0, 40]}), state="running")["ladder"]["none"]
    expected = mean_interval(FINAL["none"])
    assert rung["values"] == FINAL["none"]
    assert (rung["mean"], rung["lower"], rung["upper"]) == pytest.approx(
        (expected.estimate, expected.lower, expected.upper), rel=1e-5
    )
    assert (rung["step"], rung["level"]) == (40, True)


def test_arms_at_one_level_are_compared_at_the_latest_step_that_all_have(spec: ExperimentSpec) -> None:
    reached = {"none": [0, 10, 20, 30], "dropout": [0, 10, 20], "dropout-8": [0, 10]}
    ladder = story(spec, aggregate(spec, reached), state="running")["ladder"]
    assert {arm: rung["step"] for arm, rung in ladder.items()} == dict.fromkeys(spec.arms, 10)
    assert all(rung["level"] for rung in ladder.values())


def test_an_arm_still_training_beside_finished_ones_is_marked_as_not_level(spec: ExperimentSpec) -> None:
    reached = {"none": [0, 40], "dropout": [0, 40], "dropout-8": [0, 10]}
    found = story(spec, aggregate(spec, reached), state="running")
    rung = found["ladder"]["dropout-8"]
    assert (rung["step"], rung["level"]) == (10, False)
    assert found["ladder"]["none"]["level"] is True
    assert "explicit effect" not in text(found)
    assert found["effects"] == {}


@pytest.fixture
def text_spec() -> ExperimentSpec:
    """Of losses, in nats a symbol."""
    table = {"data": "markov", "model": "lstm", "arms": list(FINAL), "seeds": 3, "train": {"steps": 40}}
    return ExperimentSpec.from_table(table)


def of_losses(spec: ExperimentSpec, metric: str, steps: dict[str, int]) -> Aggregate:
    """What is missing to 1 as a loss, so that dropout gains as much as before; each arm at a step of its own."""
    places = {arm: [(place, seed) for seed in range(3)] for place, arm in enumerate(spec.arms)}
    found = Aggregate(places, stride=1, interval=10, last_step=40, score="loss")
    for place, arm in enumerate(spec.arms):
        values = 1 - np.array(FINAL[arm])
        found.add(place, [Point(seq=0, step=steps[arm], name=metric, values=values)])
    return found


def test_of_a_text_the_loss_is_compared_and_less_is_a_gain(text_spec: ExperimentSpec) -> None:
    found = story(
        text_spec, of_losses(text_spec, "validation/loss", dict.fromkeys(FINAL, 40)), state="running"
    )
    assert "lowers validation loss by 0.100" in text(found)
    assert found["ladder_title"] == "validation loss in nats a symbol (lower is better)"
    assert found["effects"] == {"explicit": [0.4, 0.32], "implicit": [0.32, 0.3]}


def test_arms_that_stopped_early_are_compared_where_each_of_them_ended(text_spec: ExperimentSpec) -> None:
    ends = {"none": 20, "dropout": 40, "dropout-8": 30}
    found = story(text_spec, of_losses(text_spec, "test/loss", ends), state="done")
    assert "lowers test loss by 0.100" in text(found)
    assert {arm: (rung["step"], rung["level"]) for arm, rung in found["ladder"].items()} == {
        arm: (step, True) for arm, step in ends.items()
    }


def stopped_early(spec: ExperimentSpec, ends: dict[str, int], running: dict[str, int]) -> Aggregate:
    """Arms that ended with a test value, and arms that have only got so far."""
    metrics = {"validation/loss": {**ends, **running}, "test/loss": ends}
    places = {arm: [(place, seed) for seed in range(3)] for place, arm in enumerate(spec.arms)}
    found = Aggregate(places, stride=1, interval=10, last_step=40, score="loss")
    for metric, steps in metrics.items():
        for place, arm in enumerate(spec.arms):
            for step in range(0, steps[arm] + 1, 10) if arm in steps else ():
                if metric == "validation/loss" or step == steps[arm]:
                    values = 1 - np.array(FINAL[arm]) + (0 if step == steps[arm] else 0.3)
                    found.add(place, [Point(seq=0, step=step, name=metric, values=values)])
    return found


def test_arms_that_stopped_early_keep_their_result_when_another_fails(text_spec: ExperimentSpec) -> None:
    found = story(
        text_spec,
        stopped_early(text_spec, {"none": 20, "dropout": 40}, {"dropout-8": 10}),
        state="failed",
        failed=["dropout-8"],
    )
    assert "lowers validation loss by 0.100" in text(found)


def test_an_arm_that_stopped_early_is_not_compared_with_one_that_still_trains(
    text_spec: ExperimentSpec,
) -> None:
    found = story(text_spec, stopped_early(text_spec, {"none": 20}, {"dropout": 10}), state="running")
    assert text(found) == "The gain of dropout shows as soon as dropout has trained."


def subject(*arms: str) -> Subject:
    return Subject(
        arms=arms,
        seeds=3,
        steps=40,
        masks=4,
        extent=None,
        data="digits",
        task=classification((64,), classes=10),
    )


@pytest.mark.parametrize(
    ("means", "areas"),
    [
        ((0.60, 0.70, 0.68), {"explicit": [0.60, 0.68], "implicit": [0.68, 0.70]}),
        ((0.60, 0.70, 0.72), {"explicit": [0.60, 0.72]}),
        ((0.60, 0.70, 0.55), {"implicit": [0.55, 0.70]}),
        ((0.70, 0.60, 0.65), {}),
        ((0.60, 0.60, 0.60), {}),
    ],
)
def test_an_effect_is_shaded_where_dropout_gains_and_the_effect_is_positive(
    means: tuple[float, float, float], areas: dict[str, list[float]]
) -> None:
    arms = ("none", "dropout", "dropout-8")
    assert effects(subject(*arms), dict(zip(arms, means, strict=True))) == areas


def test_the_effects_meet_at_the_largest_k() -> None:
    means = {"none": 0.5, "dropout": 0.7, "dropout-2": 0.55, "dropout-16": 0.6}
    assert effects(subject(*means), means)["explicit"] == [0.5, 0.6]
    del means["dropout-16"]  # not there yet
    assert effects(subject("none", "dropout", "dropout-2", "dropout-16"), means) == {}


def test_without_dropout_k_nothing_is_shaded() -> None:
    assert effects(subject("none", "dropout"), {"none": 0.5, "dropout": 0.7}) == {}
