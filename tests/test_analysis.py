"""Intervals against scipy and a slow twin, and the decomposition's answers on seeds whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from dropviz.analysis import Decomposition, Estimate, MaskNoiseCheck, decompose, mean_interval, ratio_interval
from dropviz.analysis import headline as sentence_of
from dropviz.experiment import preset

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


def bounds(estimate: Estimate | None) -> tuple[float, float]:
    assert estimate is not None
    assert estimate.lower is not None
    assert estimate.upper is not None
    return estimate.lower, estimate.upper


def known(estimate: Estimate | None) -> Estimate:
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
    assert found.mask_noise is None  # no margin was agreed on for a loss
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


SPEC = preset("noisy-digits")
SHARE = Estimate(estimate=0.81, lower=0.74, upper=0.88)
FORMULAS = Estimate(estimate=0.92, lower=0.80, upper=1.04)


def decomposition(gain: Estimate, verdict: str, **more: object) -> Decomposition:
    values: dict[str, object] = {"metric": ACCURACY, "k": 8, "n": 8} | more
    return Decomposition(gain=gain, verdict=verdict, **values)  # type: ignore[arg-type]


def gain(estimate: float, half: float | None = None) -> Estimate:
    if half is None:
        return Estimate(estimate=estimate)
    return Estimate(estimate=estimate, lower=estimate - half, upper=estimate + half)


GAINS = decomposition(gain(0.083, 0.006), "dropout gains")


OPENING = "Here dropout gains 8.3 [7.7, 8.9] points of test accuracy."
EXPLAINED = " The explicit effect accounts for 81 % [74, 88] of it, the implicit for the rest"
SENTENCES = [
    (GAINS, OPENING),
    (replace(GAINS, explicit_share=SHARE), f"{OPENING}{EXPLAINED}."),
    (replace(GAINS, faithfulness=FORMULAS), f"{OPENING} The formulas reproduce 92 % [80, 104] of it."),
    (
        replace(GAINS, explicit_share=SHARE, faithfulness=FORMULAS),
        f"{OPENING}{EXPLAINED}; the formulas reproduce 92 % [80, 104] of it.",
    ),
    (
        replace(GAINS, explicit_share=Estimate(estimate=1.03, lower=0.98, upper=1.08)),
        f"{OPENING} The explicit effect accounts for 103 % [98, 108] of it, the implicit for none.",
    ),
    (
        decomposition(gain(-0.021, 0.004), "dropout costs"),
        "Here dropout costs 2.1 [1.7, 2.5] points of test accuracy.",
    ),
    (
        decomposition(gain(0.004, 0.014), "no gain to explain"),
        "Here dropout makes no difference to test accuracy that 8 paired seeds can show: 0.4 [−1.0, 1.8] points."
        " There is no gain to explain.",
    ),
    (
        decomposition(gain(0.05), "anecdote", n=1, explicit_share=Estimate(estimate=0.5)),
        "Here dropout gains 5.0 points of test accuracy. The explicit effect accounts for 50 % of it, the implicit"
        " for the rest.",
    ),
    (decomposition(gain(-0.05), "anecdote", n=2), "Here dropout costs 5.0 points of test accuracy."),
]


@pytest.mark.parametrize(("found", "sentence"), SENTENCES)
def test_the_sentence_of_each_case(found: Decomposition, sentence: str) -> None:
    assert sentence_of(found, SPEC).text == sentence


def test_the_numbers_are_what_stands_out() -> None:
    parts = sentence_of(replace(GAINS, explicit_share=SHARE, faithfulness=FORMULAS), SPEC).parts
    assert [text for text, strong in parts if strong] == ["8.3 [7.7, 8.9]", "81 % [74, 88]", "92 % [80, 104]"]


def test_an_anecdote_without_any_difference_is_no_cost() -> None:
    """At step 0 all arms are one network, so one seed starts out with exactly this."""
    text = sentence_of(decomposition(gain(0.0), "anecdote", n=1), SPEC).text
    assert "costs" not in text
    assert "−0.0" not in text


def test_a_change_in_loss_is_not_said_to_be_a_gain_or_cost_of_loss() -> None:
    better = {name: {seed: -value for seed, value in found.items()} for name, found in gaining().items()}
    for values in (gaining(), better):
        assert "nats of test loss" not in sentence_of(decompose(values, "test/loss"), SPEC).text


@pytest.mark.parametrize(
    ("settings", "values", "sentence"),
    [
        (['arms=["dropout"]'], {}, "To see what dropout gains, add the arm none."),
        (['arms=["none", "dropout-8"]'], {}, "To see what dropout gains, add the arm dropout."),
        (['arms=["explicit"]'], {}, "To see what dropout gains, add the arms none and dropout."),
        ([], {}, "No seed has a result in all arms that are compared, so there is no gain to take apart."),
        ([], {"none": {0: 0.6}, "dropout": {1: 0.7}}, "No seed has a result in all arms that are compared"),
    ],
)
def test_what_is_missing_is_named(settings: list[str], values: Values, sentence: str) -> None:
    found = sentence_of(decompose(values, ACCURACY), SPEC.with_settings(settings))
    assert sentence in found.text
    assert found.note == ""


def test_it_is_not_none_and_dropout_that_lack_a_seed_when_dropout_k_does() -> None:
    values = {"none": arm(0.6), "dropout": arm(0.7, 1.0), "dropout-8": {100: 0.68}}
    assert "both none and dropout" not in sentence_of(decompose(values, ACCURACY), SPEC).text


def check(equivalent: bool | None) -> dict[str, object]:
    return {"mask_noise": MaskNoiseCheck(difference=gain(0.0), margin=0.02, equivalent=equivalent)}


NOTES = [
    ({}, [], ""),
    ({}, ["surrogate.explicit=2"], ""),
    ({"explicit_share": SHARE}, [], "explicit share at k = 8, which keeps 1/8 of the noise"),
    (check(True), [], "mask noise returns dropout-8 to dropout within 2 points"),
    (check(False), [], "mask noise is not shown to return dropout-8 to dropout within 2 points"),
    (check(None), [], ""),
    ({"faithfulness": FORMULAS}, [], ""),
    ({"faithfulness": FORMULAS}, ["surrogate.estimator=root-hessian"], "root-hessian estimator"),
    (
        {"faithfulness": FORMULAS},
        ["surrogate.hessian=constant"],
        "output Hessian held constant, as in the paper's code",
    ),
    ({"faithfulness": FORMULAS}, ["surrogate.explicit=2", "surrogate.implicit=0.5"], "λ = 2 · μ = 0.5"),
]


@pytest.mark.parametrize(("more", "settings", "added"), NOTES)
def test_the_note_says_what_has_to_be_known(more: dict[str, object], settings: list[str], added: str) -> None:
    found = sentence_of(replace(GAINS, **more), SPEC.with_settings(settings))  # type: ignore[arg-type]
    assert found.note == "8 paired seeds, 95 % intervals in brackets" + (f" · {added}" if added else "")


@pytest.mark.parametrize(("n", "seeds"), [(1, "1 seed"), (2, "2 paired seeds")])
def test_the_note_calls_an_anecdote_one(n: int, seeds: str) -> None:
    found = sentence_of(decomposition(gain(0.05), "anecdote", n=n), SPEC)
    assert found.note == f"{seeds}: an anecdote, so no interval"
