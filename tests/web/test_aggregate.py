"""Rows over seeds: complete, in order, with the interval of the analysis, thinned by the spec alone."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropviz.analysis import mean_interval
from dropviz.experiment import ExperimentSpec, evaluation_interval, evaluation_steps, preset
from dropviz.store import Point
from dropviz.web.aggregate import MOST_POINTS, Aggregate, comparison_step, stride_of, summary, tidy

ACCURACY = "validation/accuracy"


def point(step: int, *values: float, name: str = ACCURACY, seq: int = 0) -> Point:
    return Point(seq=seq, step=step, name=name, values=np.array(values))


def aggregate(places: dict[str, list[tuple[int, int]]], *, stride: int = 1, last: int = 100) -> Aggregate:
    return Aggregate(places, stride=stride, interval=10, last_step=last)


def of(spec: ExperimentSpec) -> Aggregate:
    stride = stride_of(spec.observe.evaluations)
    return Aggregate(
        {"none": [(1, 0)]}, stride=stride, interval=evaluation_interval(spec), last_step=spec.train.steps
    )


def test_a_row_is_there_once_all_seeds_of_its_arm_have_reached_its_step() -> None:
    found = aggregate({"none": [(1, 0), (2, 0), (2, 1)], "dropout": [(3, 0)]})
    found.add(1, [point(0, 0.1), point(10, 0.4)])
    assert list(found.rows) == []
    found.add(2, [point(0, 0.2, 0.3)])
    ((arm, metric, step, mean, *_),) = found.rows
    assert (found.arms[arm], found.metrics[metric], step, mean) == ("none", ACCURACY, 0, 0.2)
    found.add(2, [point(10, 0.5, 0.6)])
    assert [row[2] for row in found.rows] == [0, 10]


def test_the_test_split_counts_once_all_seeds_have_read_it_wherever_each_stopped() -> None:
    """Seeds that stop early end at steps of their own, which no stride keeps."""
    found = Aggregate({"none": [(1, 0), (2, 0)]}, stride=7, interval=10, last_step=1000, score="loss")
    found.add(1, [point(130, 2.0, name="test/loss")])
    assert list(found.rows) == []
    found.add(2, [point(90, 1.0, name="test/loss")])
    assert [(row[2], row[3]) for row in found.rows] == [(130, 1.5)]
    assert {step: seeds.tolist() for step, seeds in found.ladder["test/loss"]["none"].items()} == {
        130: [2.0, 1.0]
    }


def test_rows_that_are_there_never_change_or_move() -> None:
    found = aggregate({"none": [(1, 0)], "dropout": [(2, 0)]})
    found.add(2, [point(0, 0.5), point(10, 0.6)])
    before = list(found.rows)
    found.add(1, [point(0, 0.1), point(0, 2.0, name="train/loss")])
    assert found.rows[:2] == before
    assert len(found.rows) == 4


def test_a_row_holds_the_mean_and_the_t_interval_over_the_seeds() -> None:
    found = aggregate({"none": [(1, 2), (1, 0), (2, 0)]})
    found.add(1, [point(0, 0.5, 99.0, 0.7)])
    found.add(2, [point(0, 0.6)])
    expected = mean_interval([0.7, 0.5, 0.6])
    assert found.rows[0][3:] == pytest.approx((expected.estimate, expected.lower, expected.upper), rel=1e-5)
    np.testing.assert_array_equal(found.ladder[ACCURACY]["none"][0], [0.7, 0.5, 0.6])


def test_a_job_that_two_arms_share_counts_for_both_and_an_unknown_one_for_none() -> None:
    found = aggregate({"none": [(1, 0)], "twin": [(1, 1)]})
    found.add(7, [point(0, 0.5)])
    assert list(found.rows) == []
    found.add(1, [point(0, 0.25, 0.75)])
    assert {(found.arms[row[0]], row[3]) for row in found.rows} == {("none", 0.25), ("twin", 0.75)}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    order=st.permutations([(1, step) for step in range(0, 50, 10)] + [(2, step) for step in range(0, 50, 10)])
)
def test_the_order_in_which_points_arrive_changes_no_row(order: list[tuple[int, int]]) -> None:
    found = aggregate({"none": [(1, 0), (2, 0)]})
    for job, step in order:
        found.add(job, [point(step, job + step / 100)])
    assert sorted(found.rows) == [(0, 0, step, 1.5 + step / 100, None, None) for step in range(0, 50, 10)]


def test_a_value_that_is_no_number_is_null_and_the_rest_goes_on() -> None:
    found = aggregate({"none": [(1, 0), (1, 1), (1, 2)]})
    found.add(1, [point(0, 0.1, math.nan, 0.3), point(10, 0.1, 0.2, 0.3), point(20, 0.1, math.inf, 0.3)])
    assert [row[3] for row in found.rows] == [None, 0.2, None]
    assert found.rows[0][4:] == (None, None)
    json.dumps(list(found.rows), allow_nan=False)


def test_standard_errors_of_an_estimator_become_that_of_the_mean_over_seeds() -> None:
    mean, lower, upper = summary("regularizer/monte_carlo_se", np.array([0.3, 0.4]))
    assert (mean, lower, upper) == (pytest.approx(0.25), None, None)  # √(0.09 + 0.16) / 2
    assert summary("train/loss", np.array([0.3, 0.4])) == (0.35, None, None)


@pytest.mark.parametrize(
    ("value", "tidied"),
    [
        (None, None),
        (math.nan, None),
        (-math.inf, None),
        (1 / 3, 0.333333),
        (123456789.0, 123457000.0),
        (0.0, 0.0),
    ],
)
def test_numbers_travel_with_six_digits(value: float | None, tidied: float | None) -> None:
    assert tidy(value) == tidied


@pytest.mark.parametrize("evaluations", [1, 50, 998, 999, 1000])
@pytest.mark.parametrize("steps", [1, 7, 1000, 1500, 99_991])
def test_no_series_has_more_points_than_a_chart_can_draw(evaluations: int, steps: int) -> None:
    spec = preset("noisy-digits").with_settings(
        [f"train.steps={steps}", f"observe.evaluations={evaluations}"]
    )
    found = of(spec)
    found.add(1, [point(step, 0.5) for step in evaluation_steps(spec)])
    kept = [row[2] for row in found.rows]
    assert len(kept) <= MOST_POINTS
    assert {0, steps} <= set(kept)
    assert len(kept) >= min(len(evaluation_steps(spec)), MOST_POINTS) / 2


def test_a_point_that_was_kept_stays_as_training_goes_on() -> None:
    spec = preset("noisy-digits").with_settings(["train.steps=5000", "observe.evaluations=1000"])
    found, kept = of(spec), []
    for step in evaluation_steps(spec):
        found.add(1, [point(step, 0.5)])
        assert [row[2] for row in found.rows][: len(kept)] == kept
        kept = [row[2] for row in found.rows]
    assert np.unique(np.diff(kept)).tolist() == [10]


def test_a_series_of_few_points_is_not_thinned() -> None:
    """Statistics are ten points spread over the evaluations: none of them is one too many."""
    spec = preset("noisy-digits").with_settings(["train.steps=1000", "observe.evaluations=1000"])
    steps = evaluation_steps(spec)
    measured = [steps[round(i * (len(steps) - 1) / 9)] for i in range(10)]
    found = of(spec)
    found.add(1, [point(step, 0.5, name="noise/mask") for step in measured])
    assert [row[2] for row in found.rows] == measured


@pytest.mark.parametrize(
    ("by_arm", "step"),
    [
        ({}, None),
        ({"none": {}}, None),
        ({"none": {0: 1, 30: 1}, "dropout": {0: 1, 10: 1}}, 10),
        ({"none": {0: 1, 100: 1}, "dropout": {0: 1, 10: 1}}, 100),
        ({"none": {0: 1, 100: 1}, "dropout": {0: 1, 100: 1}}, 100),
    ],
)
def test_a_trained_arm_is_not_compared_with_one_that_just_began(
    by_arm: dict[str, dict[int, int]], step: int | None
) -> None:
    assert comparison_step(by_arm, 100) == step
