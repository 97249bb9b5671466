"""Claims judged over paired seeds: each kind's three verdicts, its interval against a slow twin, its words."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from dropviz.analysis.claims import KINDS, Claim, Judgement, read_claim
from dropviz.analysis.score import Score, score_of
from dropviz.choices import SpecError
from dropviz.task import classification, language

ACCURACY = score_of(classification((1, 8, 8), classes=10))
LOSS = score_of(language(100, "word"))
SEEDS = range(8)
JITTER = np.array([0.4, -0.3, 0.1, -0.2, 0.25, -0.15, -0.35, 0.25]) / 100  # sums to zero


def arm(mean: float, spread: float = 0.0, shift: int = 0) -> dict[int, float]:
    """Values over the seeds whose mean is exactly this, up to rounding."""
    return {seed: mean + spread * JITTER[(seed + shift) % 8] for seed in SEEDS}


def judged(claim: dict, values: dict[str, dict[int, float]], score: Score = ACCURACY) -> Judgement:
    return read_claim(claim).judge(values, score)


VALUES = {
    "none": arm(0.60, 1.0),
    "dropout": arm(0.70, -1.0),
    "dropout-2": arm(0.69, 0.5, 2),
    "dropout-8": arm(0.68, 1.0, 1),
    "restored": arm(0.702, 1.0, 3),
    "noisy": arm(0.701, 30.0, 2),
}
BETTER = {"kind": "better", "a": "dropout", "b": "none"}
EQUAL = {"kind": "equivalent", "a": "restored", "b": "dropout", "margin": 0.02}
TREND = {"kind": "trend", "along": {"dropout": 1, "dropout-2": 2, "dropout-8": 8}, "gets": "worse"}
SHARE = {
    "kind": "ratio",
    "top": ["dropout-8", "none"],
    "bottom": ["dropout", "none"],
    "least": 0.5,
    "most": 1,
}
GAP = {"kind": "smaller-gap", "gap": ["dropout", "dropout-8"], "than": ["dropout", "none"]}
CASES = [
    (BETTER, "green"),
    (BETTER | {"a": "none", "b": "dropout"}, "red"),
    (BETTER | {"a": "noisy", "b": "dropout"}, "amber"),
    (EQUAL, "green"),
    (EQUAL | {"a": "none"}, "red"),
    (EQUAL | {"a": "dropout-8"}, "amber"),
    (TREND, "green"),
    (TREND | {"gets": "better"}, "red"),
    (TREND | {"along": {"noisy": 1, "dropout": 2}}, "amber"),
    (SHARE, "green"),
    (SHARE | {"least": 0.9}, "red"),
    (SHARE | {"least": 0.8}, "amber"),
    (SHARE | {"bottom": ["noisy", "dropout"]}, "amber"),
    (GAP, "green"),
    (GAP | {"gap": ["dropout", "none"], "than": ["dropout", "dropout-8"]}, "red"),
    (GAP | {"gap": ["noisy", "dropout"], "than": ["restored", "dropout"]}, "amber"),
]


@pytest.mark.parametrize(("claim", "verdict"), CASES)
def test_each_kind_of_claim_has_three_verdicts(claim: dict, verdict: str) -> None:
    assert judged(claim, VALUES).verdict == verdict


def test_every_kind_is_tried_with_every_verdict() -> None:
    tried = {(claim["kind"], verdict) for claim, verdict in CASES}
    assert tried == {(kind, verdict) for kind in KINDS for verdict in ("green", "amber", "red")}


@pytest.mark.parametrize(("claim", "verdict"), CASES)
def test_a_loss_counts_the_other_way(claim: dict, verdict: str) -> None:
    losses = {name: {seed: 2 - value for seed, value in found.items()} for name, found in VALUES.items()}
    found, expected = judged(claim, losses, LOSS), judged(claim, VALUES)
    assert found.verdict == verdict
    scale = 1 if claim["kind"] == "ratio" else ACCURACY.factor
    assert found.interval.estimate * scale == pytest.approx(expected.interval.estimate, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("claim", [BETTER, EQUAL, TREND, SHARE, GAP])
def test_fewer_than_three_seeds_decide_nothing(claim: dict, n: int) -> None:
    few = {name: {seed: found[seed] for seed in range(n)} for name, found in VALUES.items()}
    found = judged(claim, few)
    assert (found.verdict, found.n, found.interval.lower, found.interval.upper) == ("amber", n, None, None)
    assert "anecdote" in found.sentence


def test_only_seeds_that_all_have_are_compared() -> None:
    values = VALUES | {"none": {seed: VALUES["none"][seed] for seed in range(2, 8)} | {77: 0.0}}
    assert judged(BETTER, values).n == 6


def test_the_interval_of_a_difference_is_the_one_of_scipy() -> None:
    found = judged(BETTER, VALUES)
    difference = 100 * np.array([VALUES["dropout"][seed] - VALUES["none"][seed] for seed in SEEDS])
    expected = stats.t.interval(0.95, 7, loc=difference.mean(), scale=stats.sem(difference))
    assert (found.interval.lower, found.interval.upper) == pytest.approx(expected, rel=1e-9)
    assert found.unit == "points"


def test_the_slope_is_that_of_each_seeds_regression_on_the_logarithm() -> None:
    slopes = []
    for seed in SEEDS:
        y = [100 * VALUES[name][seed] for name in TREND["along"]]
        slopes.append(-stats.linregress([0, 1, 3], y).slope)
    expected = stats.t.interval(0.95, 7, loc=np.mean(slopes), scale=stats.sem(slopes))
    found = judged(TREND, VALUES)
    assert (found.interval.lower, found.interval.upper) == pytest.approx(expected, rel=1e-9)


def test_a_share_is_in_per_cent() -> None:
    found = judged(SHARE, VALUES)
    assert (found.unit, found.interval.estimate) == ("%", pytest.approx(80))


def test_levels_have_a_ratio_too() -> None:
    levels = {"formula": arm(0.51, 1.0), "definition": arm(0.5, 1.0)}
    claim = {"kind": "ratio", "top": ["formula"], "bottom": ["definition"], "least": 0.9, "most": 1.1}
    found = judged(claim, levels, Score(metric="R", unit="nats"))
    assert (found.verdict, found.interval.estimate) == ("green", pytest.approx(102))


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize("claim", [BETTER, EQUAL, TREND, SHARE, GAP])
def test_what_diverged_decides_nothing(claim: dict, value: float) -> None:
    label = read_claim(claim).labels[0]
    found = judged(claim, VALUES | {label: VALUES[label] | {3: value}}, LOSS)
    assert (found.verdict, found.interval.lower) == ("amber", None)
    assert found.sentence == "Nothing is decided, as test loss gives no finite number here; 8 paired seeds."


def test_no_gain_at_all_has_no_shares() -> None:
    found = judged(SHARE, VALUES | {"none": VALUES["dropout"]})
    assert found.verdict == "amber"


@pytest.mark.parametrize(
    ("claim", "score", "sentence"),
    [
        (BETTER, ACCURACY, "Dropout is better than none: test accuracy is higher by 10.0 [9.5, 10.5] points; 8 paired seeds."),
        (BETTER, LOSS, "Dropout is worse than none: test loss is higher by 0.100 [0.095, 0.105] nats a word; 8 paired seeds."),
        (EQUAL, ACCURACY, "Restored equals dropout within 2 points: test accuracy is higher by 0.2 [−0.1, 0.5] points; 8 paired seeds."),
        (TREND, ACCURACY, "Test accuracy gets worse with k: it is lower by 0.6 [0.5, 0.7] points at each doubling; 8 paired seeds."),
        (
            SHARE,
            ACCURACY,
            "In test accuracy, the gain of dropout-8 over none is 80 % [78, 82] of the gain of dropout over none; as claimed:"
            " at least 50 % and at most 100 %; 8 paired seeds.",
        ),
        (
            GAP,
            ACCURACY,
            "The gain in test accuracy of dropout over dropout-8 is smaller than that of dropout over none: by 8.0 [7.6, 8.4] points; 8 paired seeds.",
        ),
    ],
)  # fmt: skip
def test_a_judgement_says_itself_in_a_sentence(claim: dict, score: Score, sentence: str) -> None:
    assert judged(claim, VALUES, score).sentence == sentence


def test_a_judgement_survives_json() -> None:
    found = judged(TREND, VALUES)
    assert Judgement.from_table(json.loads(json.dumps(found.to_table()))) == found


@pytest.mark.parametrize("claim", [BETTER, EQUAL, TREND, SHARE, GAP])
def test_a_claim_survives_its_table(claim: dict) -> None:
    assert read_claim(read_claim(claim).to_table()) == read_claim(claim)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "beter", "a": "x", "b": "y"}, "'beter' is not a kind of claim"),
        ({"a": "x", "b": "y"}, "None is not a kind of claim"),
        ({"kind": "better", "a": "x"}, "b is missing: add it"),
        (EQUAL | {"margin": 0}, "margin = 0 is not possible: it must be above 0"),
        (TREND | {"along": {"x": 1, "y": 1}}, "has no slope: give two or more different numbers"),
        (TREND | {"along": {"x": 0, "y": 1}}, "has no slope"),
        ({"kind": "ratio", "top": ["a"], "bottom": ["b"]}, "claims nothing: give one of them"),
        (SHARE | {"top": ["dropout"]}, "do not compare"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused_in_a_sentence(table: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read_claim(table)


def test_missing_results_are_named() -> None:
    with pytest.raises(ValueError, match="dropout has no results: run it first"):
        judged(BETTER, {"none": arm(0.6)})
    with pytest.raises(ValueError, match="have no seed in common"):
        judged(BETTER, {"none": {1: 0.5}, "dropout": {2: 0.5}})


def test_green_is_wrong_about_once_in_forty_where_there_is_nothing() -> None:
    random, wrong, runs = np.random.default_rng(3), 0, 2000
    claim: Claim = read_claim(BETTER)
    for _ in range(runs):
        values = {name: dict(enumerate(random.normal(0.7, 0.02, 6).tolist())) for name in claim.labels}
        wrong += claim.judge(values, ACCURACY).verdict == "green"
    assert wrong / runs == pytest.approx(0.025, abs=0.011)  # three standard errors
