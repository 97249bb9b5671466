"""Intervals against scipy and a slow twin, and the decomposition's answers on seeds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from dropviz.analysis import Decomposition, Interval, decompose, mean_interval, ratio_interval

ACCURACY = "test/accuracy"
SEEDS = range(8)
JITTER = np.array([0.4, -0.3, 0.1, -0.2, 0.25, -0.15, -0.35, 0.25]) / 100  # sums to zero

Values = dict[str, dict[int, float]]


def arm(mean: float, spread: float = 0.0) -> dict[int, float]:
    """A metric over the seeds whose mean is exactly this, up to rounding."""
    return {seed: mean + spread * JITTER[seed] for seed in SEEDS}


def gaining() -> Values:
    """Dropout gains 10 points, dropout-8 reaches 8 of them and the formulas 9."""
    return {
        "none": arm(0.60),
        "dropout": arm(0.70, 1.0),
        "dropout-8": arm(0.68, -1.0),
        "explicit+implicit": arm(0.69, 0.5),
        "dropout-8+mask-noise": arm(0.701, 0.7),
    }


def only(values: Values, seeds: range) -> Values:
    return {name: {seed: found[seed] for seed in seeds} for name, found in values.items()}


def t_of_ratio(r: float, a: np.ndarray, b: np.ndarray) -> float:
    """|t| of the hypothesis that the mean of a is r times the mean of b."""
    return abs(float(stats.ttest_1samp(a - r * b, 0.0).statistic))


def slow_fieller(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The two r at which the t test is just significant at 5 %, searched outwards from the estimate."""
    critical = float(stats.t.ppf(0.975, len(a) - 1))
    middle = float(a.mean() / b.mean())

    def edge(direction: int) -> float:
        distance = 1e-3
        while t_of_ratio(middle + direction * distance, a, b) < critical:
            distance *= 2
        return optimize.brentq(
            lambda r: t_of_ratio(r, a, b) - critical, middle, middle + direction * distance
        )

    return edge(-1), edge(1)


def bounds(estimate: Interval | None) -> tuple[float, float]:
    assert estimate is not None
    assert estimate.lower is not None
    assert estimate.upper is not None
    return estimate.lower, estimate.upper


def known(estimate: Interval | None) -> Interval:
    assert estimate is not None
    return estimate


@pytest.mark.parametrize("n", [3, 4, 8, 30])
def test_the_interval_of_a_mean_is_the_one_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.7, 0.05, n)
    found = mean_interval(values)
    expected = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert bounds(found) == pytest.approx(expected, rel=1e-9)
    assert found.estimate == pytest.approx(values.mean())


@pytest.mark.parametrize("n", [1, 2])
def test_below_three_seeds_there_is_no_interval(n: int) -> None:
    found = mean_interval([0.5, 0.7][:n])
    assert (found.lower, found.upper) == (None, None)
    assert ratio_interval([0.4, 0.5][:n], [0.5, 0.6][:n]).lower is None


@pytest.mark.parametrize("seed", range(8))
def test_fiellers_interval_is_where_the_t_test_turns(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = 3 + seed
    gain = random.normal(0.10, 0.01, n)
    explicit = 0.8 * gain + random.normal(0, 0.01, n)
    found = ratio_interval(explicit, gain)
    assert bounds(found) == pytest.approx(slow_fieller(explicit, gain), rel=1e-6)
    assert found.estimate == pytest.approx(explicit.mean() / gain.mean())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    pairs=st.lists(
        st.tuples(st.floats(-1, 1, allow_subnormal=False), st.floats(0.5, 1, allow_subnormal=False)),
        min_size=3,
        max_size=9,
    )
)
def test_a_bounded_interval_holds_exactly_the_ratios_that_the_t_test_accepts(
    pairs: list[tuple[float, float]],
) -> None:
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    found = ratio_interval(a, b)
    if found.lower is None or found.upper is None or found.upper - found.lower < 1e-6:
        return
    critical = float(stats.t.ppf(0.975, len(a) - 1))
    width = found.upper - found.lower
    assert found.lower <= found.estimate <= found.upper
    for inside in (found.lower + 0.01 * width, found.upper - 0.01 * width):
        assert t_of_ratio(inside, a, b) <= critical * (1 + 1e-6)
    for outside in (found.lower - 0.01 * width, found.upper + 0.01 * width):
        assert t_of_ratio(outside, a, b) >= critical * (1 - 1e-6)


def test_fiellers_interval_covers_the_truth_19_times_in_20() -> None:
    random, truth, runs, n = np.random.default_rng(5), 0.8, 4000, 6
    gain = random.normal(0.10, 0.03, (runs, n))
    explicit = truth * 0.10 + 0.5 * (gain - 0.10) + random.normal(0, 0.02, (runs, n))
    covered, bounded = 0, 0
    for a, b in zip(explicit, gain, strict=True):
        found = ratio_interval(a, b)
        if found.lower is not None and found.upper is not None:
            bounded += 1
            covered += found.lower <= truth <= found.upper
    assert bounded > 0.99 * runs
    assert covered / bounded == pytest.approx(0.95, abs=0.012)  # three standard errors


def test_an_unbounded_interval_has_no_bounds() -> None:
    found = ratio_interval([0.1, 0.2, 0.1, 0.2], [0.3, -0.2, 0.2, -0.1])
    assert found.estimate == pytest.approx(3.0)
    assert (found.lower, found.upper) == (None, None)


def test_a_gain_is_taken_apart() -> None:
    found = decompose(gaining(), ACCURACY)
    assert (found.verdict, found.k, found.n) == ("dropout gains", 8, 8)
    assert known(found.gain).estimate == pytest.approx(0.10)
    assert known(found.explicit_share).estimate == pytest.approx(0.8)
    assert known(found.faithfulness).estimate == pytest.approx(0.9)
    lower, upper = bounds(found.gain)
    assert 0 < lower < 0.10 < upper


def test_the_shares_add_to_one_and_their_bounds_are_mirrored() -> None:
    found = decompose(gaining(), ACCURACY)
    lower, upper = bounds(found.explicit_share)
    assert known(found.explicit_share).estimate + known(found.implicit_share).estimate == pytest.approx(1)
    assert bounds(found.implicit_share) == pytest.approx((1 - upper, 1 - lower))


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_seeds_are_an_anecdote(n: int) -> None:
    found = decompose(only(gaining(), range(n)), ACCURACY)
    assert (found.verdict, found.n) == ("anecdote", n)
    for estimate in (found.gain, found.explicit_share, found.implicit_share, found.faithfulness):
        assert known(estimate).lower is None
        assert known(estimate).upper is None
    assert found.mask_noise is not None
    assert found.mask_noise.equivalent is None


def test_a_gain_that_may_be_zero_is_not_explained() -> None:
    found = decompose(gaining() | {"dropout": arm(0.601, 1.0)}, ACCURACY)
    lower, upper = bounds(found.gain)
    assert lower < 0 < upper
    assert found.verdict == "no gain to explain"
    assert found.explicit_share is found.implicit_share is found.faithfulness is None
    assert decompose({name: arm(0.5) for name in gaining()}, ACCURACY).verdict == "no gain to explain"


def test_a_loss_of_accuracy_is_a_cost_without_shares() -> None:
    found = decompose(gaining() | {"dropout": arm(0.50, 1.0)}, ACCURACY)
    assert found.verdict == "dropout costs"
    assert known(found.gain).estimate == pytest.approx(-0.10)
    assert found.explicit_share is found.implicit_share is found.faithfulness is None


def test_the_largest_k_is_used() -> None:
    values = gaining() | {"dropout-2": arm(0.61), "dropout-16": arm(0.67), "dropout-32+mask-noise": arm(0.7)}
    found = decompose(values, ACCURACY)
    assert found.k == 16
    assert known(found.explicit_share).estimate == pytest.approx(0.7)
    assert found.mask_noise is None  # the noise was given back to dropout-8 and dropout-32 only


def test_less_of_a_loss_is_more() -> None:
    as_loss = {name: {seed: 1 - value for seed, value in found.items()} for name, found in gaining().items()}
    found = decompose(as_loss, "test/loss")
    assert known(found.gain).estimate == pytest.approx(0.10)
    assert known(found.explicit_share).estimate == pytest.approx(0.8)
    assert found.verdict == "dropout gains"
    assert found.baseline == pytest.approx(0.40)
    assert found.mask_noise is not None
    assert found.mask_noise.margin == 0.03
    assert decompose(as_loss, "test/perplexity").mask_noise is None  # no margin was agreed on for that
    assert decompose(gaining(), "test/loss").verdict == "dropout costs"


def test_only_the_seeds_in_common_are_compared() -> None:
    values = gaining()
    values["dropout"] = {seed: values["dropout"][seed] for seed in range(2, 8)} | {100: 0.0}
    values["none"] = values["none"] | {0: 55.0, 1: -55.0}
    found = decompose(values, ACCURACY)
    assert found.n == 6
    assert found == decompose(only(gaining(), range(2, 8)), ACCURACY)


def test_the_differences_are_paired() -> None:
    """What all arms of a seed share, such as an easy split, changes nothing."""
    shift = np.random.default_rng(3).normal(0, 0.2, len(SEEDS))
    shifted = {name: {s: v + shift[s] for s, v in found.items()} for name, found in gaining().items()}
    found, plain = decompose(shifted, ACCURACY), decompose(gaining(), ACCURACY)
    assert bounds(found.gain) == pytest.approx(bounds(plain.gain))
    assert bounds(found.explicit_share) == pytest.approx(bounds(plain.explicit_share))


def test_faithfulness_needs_all_the_seeds() -> None:
    values = gaining()
    del values["explicit+implicit"][3]
    found = decompose(values, ACCURACY)
    assert found.faithfulness is None
    assert found.explicit_share is not None
    assert found.n == 8


def test_without_dropout_k_there_is_a_gain_but_no_share() -> None:
    values = {name: found for name, found in gaining().items() if not name.startswith("dropout-")}
    found = decompose(values, ACCURACY)
    assert (found.k, found.explicit_share, found.mask_noise) == (None, None, None)
    assert known(found.faithfulness).estimate == pytest.approx(0.9)


@pytest.mark.parametrize("missing", ["none", "dropout"])
def test_without_both_ends_the_decomposition_is_incomplete(missing: str) -> None:
    values = {name: found for name, found in gaining().items() if name != missing}
    assert decompose(values, ACCURACY) == Decomposition(metric=ACCURACY)


def test_without_a_common_seed_the_decomposition_is_incomplete() -> None:
    values = gaining() | {"dropout": {100: 0.7}}
    assert decompose(values, ACCURACY).verdict == "incomplete"


@pytest.mark.parametrize(
    ("mean", "spread", "equivalent"),
    [(0.701, 0.7, True), (0.67, 1.0, False), (0.72, 1.0, False), (0.70, 12.0, False)],
)
def test_mask_noise_is_equivalent_when_its_interval_lies_within_the_margin(
    mean: float, spread: float, equivalent: bool
) -> None:
    check = decompose(gaining() | {"dropout-8+mask-noise": arm(mean, spread)}, ACCURACY).mask_noise
    assert check is not None
    assert check.difference.estimate == pytest.approx(mean - 0.70)
    assert check.margin == 0.02
    assert check.equivalent is equivalent


def test_the_table_holds_plain_values_only() -> None:
    table = decompose(gaining(), ACCURACY).to_table()
    assert table["gain"].keys() == {"estimate", "lower", "upper"}
    assert table["mask_noise"].keys() == {"estimate", "lower", "upper", "margin", "equivalent"}
    assert (table["metric"], table["k"], table["n"]) == (ACCURACY, 8, 8)
    assert table["mask_noise"]["equivalent"] is True
    assert Decomposition(metric=ACCURACY).to_table()["gain"] is None
