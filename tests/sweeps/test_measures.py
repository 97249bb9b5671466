"""What a cell shows, against the plain arithmetic of a few seeds."""

from __future__ import annotations

import math
import statistics

import pytest

from dropviz.analysis import Interval
from dropviz.experiment import SpecError, preset
from dropviz.sweeps import measure_named, measured, measures

ARMS = '["none", "dropout", "dropout-8", "explicit+implicit"]'
SPEC = preset("classroom").with_settings([f"arms={ARMS}", "seeds=4"])
TEXT = preset("markov-lstm").with_settings([f"arms={ARMS}"])
T95 = {3: 4.302653, 4: 3.182446}  # Student's t at n − 1 degrees of freedom, from a table
SCORES = {
    "none": [0.70, 0.68, 0.71, 0.69],
    "dropout": [0.80, 0.79, 0.82, 0.78],
    "dropout-8": [0.78, 0.77, 0.79, 0.77],
    "explicit+implicit": [0.79, 0.79, 0.81, 0.76],
}
R = {"term/explicit": [0.9, 1.1, 1.0, 1.2], "regularizer/monte_carlo": [1.0, 1.3, 1.2, 1.3]}


def finals(
    scores: dict[str, list[float]], metric: str = "test/accuracy"
) -> dict[str, dict[str, dict[int, float]]]:
    """Arm → metric → seed → value; the statistics are those of the arm dropout."""
    found = {arm: {metric: dict(enumerate(values))} for arm, values in scores.items()}
    if "dropout" in found:
        found["dropout"] |= {name: dict(enumerate(values)) for name, values in R.items()}
    return found


def interval(values: list[float]) -> tuple[float, float, float]:
    mean, n = statistics.fmean(values), len(values)
    half = T95[n] * statistics.stdev(values) / math.sqrt(n)
    return mean, mean - half, mean + half


def differences(a: str, b: str) -> list[float]:
    return [x - y for x, y in zip(SCORES[a], SCORES[b], strict=True)]


def shown(found: Interval | None) -> tuple[float | None, float | None, float | None]:
    assert found is not None
    return found.estimate, found.lower, found.upper


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gain", differences("dropout", "none")),
        ("gap", differences("explicit+implicit", "dropout")),
        ("score:none", SCORES["none"]),
    ],
)
def test_scores_and_differences_are_means_over_paired_seeds(name: str, values: list[float]) -> None:
    cell = measured(measure_named(SPEC, name), finals(SCORES))
    assert shown(cell.interval) == pytest.approx(interval(values), rel=1e-5)
    assert cell.n == 4


@pytest.mark.parametrize(
    ("name", "above", "below"),
    [
        ("explicit-share", differences("dropout-8", "none"), differences("dropout", "none")),
        ("faithfulness", differences("explicit+implicit", "none"), differences("dropout", "none")),
        ("ratio", R["term/explicit"], R["regularizer/monte_carlo"]),
    ],
)
def test_ratios_have_the_interval_of_those_that_the_seeds_do_not_contradict(
    name: str, above: list[float], below: list[float]
) -> None:
    """Fieller by search: the ratios r for which the mean of above − r · below does not differ from 0."""
    cell = measured(measure_named(SPEC, name), finals(SCORES))
    estimate, lower, upper = shown(cell.interval)
    assert estimate == pytest.approx(sum(above) / sum(below))
    allowed = []
    for r in (step / 5000 for step in range(10_000)):
        _, low, high = interval([a - r * b for a, b in zip(above, below, strict=True)])
        if low <= 0 <= high:
            allowed.append(r)
    assert (lower, upper) == pytest.approx((allowed[0], allowed[-1]), abs=5e-4)


def test_a_loss_that_falls_is_a_gain_and_formulas_that_lose_more_fall_short() -> None:
    losses = {arm: [1 - value for value in values] for arm, values in SCORES.items()}
    for name in ("gain", "gap", "faithfulness", "explicit-share"):
        of_losses = measured(measure_named(TEXT, name), finals(losses, "test/loss"))
        of_scores = measured(measure_named(SPEC, name), finals(SCORES))
        assert shown(of_losses.interval) == pytest.approx(shown(of_scores.interval))


def test_a_cell_is_marked_where_its_interval_excludes_the_reference() -> None:
    assert measured(measure_named(SPEC, "gain"), finals(SCORES)).distinct is True
    same = SCORES | {"dropout": [0.71, 0.67, 0.72, 0.68]}
    assert measured(measure_named(SPEC, "gain"), finals(same)).distinct is False
    assert measured(measure_named(SPEC, "ratio"), finals(SCORES)).distinct is True  # all below 1
    assert measured(measure_named(SPEC, "score:none"), finals(SCORES)).distinct is None


def test_two_seeds_are_an_anecdote_without_interval_or_mark() -> None:
    few = measured(measure_named(SPEC, "gain"), finals({arm: values[:2] for arm, values in SCORES.items()}))
    assert (few.n, few.distinct) == (2, None)
    assert shown(few.interval)[1:] == (None, None)


def test_only_seeds_that_both_arms_have_are_compared() -> None:
    found = finals(SCORES)
    del found["dropout"]["test/accuracy"][0]
    cell = measured(measure_named(SPEC, "gain"), found)
    assert shown(cell.interval) == pytest.approx(interval(differences("dropout", "none")[1:]), rel=1e-5)
    assert cell.n == 3


@pytest.mark.parametrize("name", [measure.name for measure in measures(SPEC)])
def test_what_is_not_there_yet_has_a_reason(name: str) -> None:
    assert measured(measure_named(SPEC, name), {}).reason == "not finished"
    with_one = measured(measure_named(SPEC, name), finals({"none": SCORES["none"]}))
    assert (with_one.reason == "") == (name == "score:none")


@pytest.mark.parametrize("order", [("none", "dropout"), ("dropout", "none")])
def test_without_a_gain_there_is_nothing_to_share(order: tuple[str, str]) -> None:
    better, worse = order
    found = finals(SCORES | {better: SCORES["none"], worse: SCORES["none"][::-1]})
    assert measured(measure_named(SPEC, "explicit-share"), found).reason == "no gain to share"
    assert measured(measure_named(SPEC, "faithfulness"), found).reason == "no gain to share"


def test_a_regularizer_that_noise_hides_has_no_ratio() -> None:
    found = finals(SCORES)
    found["dropout"]["regularizer/monte_carlo"] = {0: 0.1, 1: -0.1, 2: 0.05, 3: -0.04}
    assert measured(measure_named(SPEC, "ratio"), found).reason == "R is not told from 0"
    found["dropout"]["regularizer/monte_carlo"] = dict.fromkeys(range(4), 0.0)
    assert measured(measure_named(SPEC, "ratio"), found).reason == "R is 0"


def test_what_is_not_finite_is_no_number() -> None:
    found = finals(SCORES | {"none": [math.nan, 0.5, 0.5, 0.5]})
    assert measured(measure_named(SPEC, "score:none"), found).reason == "not a finite number"


def test_measures_are_those_that_the_arms_and_statistics_give() -> None:
    names = [measure.name for measure in measures(SPEC)]
    assert names[:5] == ["gain", "explicit-share", "faithfulness", "gap", "ratio"]
    assert names[5:] == [f"score:{arm}" for arm in SPEC.arms]
    bare = SPEC.with_settings(['arms=["explicit"]', "observe.statistics=0"])
    assert [measure.name for measure in measures(bare)] == ["score:explicit"]
    with pytest.raises(SpecError, match="'gain' is not a measure of this sweep"):
        measure_named(bare, "gain")
