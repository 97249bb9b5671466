"""Curves over seeds against slow and obvious twins."""

from __future__ import annotations

import numpy as np
import pytest

from dropviz.analysis import mean_interval, mean_intervals, welch_interval
from dropviz.analysis.curves import Band, Curve, at_step, band, joined, smoothed, thinned


def curve(points: int = 40, seeds: int = 4, every: int = 5) -> Curve:
    random = np.random.default_rng(points + seeds)
    values = random.standard_normal((points, seeds)).cumsum(axis=0)
    return Curve(steps=np.arange(points) * every, values=values, seeds=tuple(range(seeds)))


def test_intervals_of_all_rows_are_those_of_each() -> None:
    values = curve().values
    found = [mean_interval(row) for row in values]
    mean, lower, upper = mean_intervals(values)
    np.testing.assert_allclose(mean, [one.estimate for one in found])
    np.testing.assert_allclose(lower, [one.lower for one in found])
    np.testing.assert_allclose(upper, [one.upper for one in found])
    assert np.isnan(mean_intervals(values[:, :2])[1]).all()


def test_welchs_interval_is_scipys() -> None:
    from scipy import stats

    random = np.random.default_rng(0)
    one, other = random.normal(0, 1, 7), random.normal(0.5, 3, 12)
    found = stats.ttest_ind(other, one, equal_var=False).confidence_interval(0.95)
    interval = welch_interval(one, other)
    assert interval.estimate == pytest.approx(other.mean() - one.mean())
    assert (interval.lower, interval.upper) == pytest.approx((found.low, found.high))
    assert welch_interval([1, 2], [1, 2, 3]).lower is None
    same = welch_interval([1, 1, 1], [3, 3, 3])
    assert (same.lower, same.estimate, same.upper) == (2, 2, 2)


def test_blocks_are_joined_by_seed_at_the_steps_that_both_have() -> None:
    whole = curve(10, 4, 1)
    first = Curve(steps=whole.steps[:8], values=whole.values[:8, [3, 0]], seeds=(3, 0))
    second = Curve(steps=whole.steps[2:], values=whole.values[2:, [1, 2]], seeds=(1, 2))
    found = joined([first, second])
    assert found.seeds == (0, 1, 2, 3)
    np.testing.assert_array_equal(found.steps, whole.steps[2:8])
    np.testing.assert_array_equal(found.values, whole.values[2:8])
    assert joined([]).seeds == ()


@pytest.mark.parametrize("weight", [0.0, 0.6, 0.95])
def test_smoothing_is_the_weighted_mean_of_what_came_before(weight: float) -> None:
    values = curve().values
    slow = []
    for last in range(len(values)):
        weights = np.array([weight ** (last - place) for place in range(last + 1)])
        slow.append((weights[:, None] * values[: last + 1]).sum(axis=0) / weights.sum())
    np.testing.assert_allclose(smoothed(values, weight), slow)


def test_a_band_is_of_each_seeds_own_smoothed_curve() -> None:
    found, one = band(curve(), smoothing=0.7), curve()
    expected = [mean_interval(row) for row in smoothed(one.values, 0.7)]
    np.testing.assert_allclose(found.upper, [interval.upper for interval in expected])
    assert found.seeds == 4


def test_a_curve_ends_before_its_first_number_that_is_none() -> None:
    one = curve(10, 3)
    assert one.stop is None
    one.values[6, 1] = np.nan
    one.values[8, 0] = np.inf
    assert one.stop == 30
    assert band(one).steps.tolist() == [0, 5, 10, 15, 20, 25]


def test_thinning_keeps_ends_and_extremes() -> None:
    found = band(curve(5000, 3, 1))
    few = thinned(found, 5000, 300)
    assert len(few.steps) <= 301
    assert (few.steps[0], few.steps[-1]) == (0, 4999)
    assert (few.mean.min(), few.mean.max()) == (found.mean.min(), found.mean.max())
    places = np.searchsorted(found.steps, few.steps)
    np.testing.assert_array_equal(few.upper, found.upper[places])


def test_what_thinning_kept_stays_when_points_are_added() -> None:
    def first(points: int) -> Band:
        whole = band(curve(5000, 3, 1))
        return Band(
            steps=whole.steps[:points],
            mean=whole.mean[:points],
            lower=whole.lower[:points],
            upper=whole.upper[:points],
            seeds=3,
        )

    before, after = thinned(first(2000), 5000, 300), thinned(first(3500), 5000, 300)
    bin_start = 2000 - 2000 % 50
    full = before.steps[before.steps < bin_start].tolist()
    assert full == [step for step in after.steps.tolist() if step < bin_start]


def test_few_points_stay_as_they_are() -> None:
    found = band(curve(50))
    assert thinned(found, 245, 50) is found


@pytest.mark.parametrize("step", [0, 5, 7.3, 12.5, 194.9, 195])
def test_between_two_points_the_value_is_on_the_line(step: float) -> None:
    one = curve()
    slow = {seed: float(np.interp(step, one.steps, one.values[:, seed])) for seed in one.seeds}
    assert at_step(one, step) == pytest.approx(slow)


@pytest.mark.parametrize("step", [-1, 195.5])
def test_beyond_the_ends_there_is_no_value(step: float) -> None:
    assert np.isnan(list(at_step(curve(), step).values())).all()
