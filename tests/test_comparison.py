"""Differences between arms of runs: paired, unpaired with a reason, and at equal cost."""

from __future__ import annotations

import numpy as np
import pytest

from dropviz.analysis import mean_interval, welch_interval
from dropviz.analysis.comparison import Contender, Priced, at_cost, at_equal_cost, difference, mean_score
from dropviz.analysis.cost import Spent, cost
from dropviz.analysis.curves import Curve
from dropviz.experiment import ExperimentSpec, preset

SPEC = preset("noisy-digits")


def contender(
    scores: dict[int, float], *changes: str, arm: str = "dropout", run: int = 1, spec: ExperimentSpec = SPEC
) -> Contender:
    return Contender(run=run, arm=arm, spec=spec.with_settings(changes), scores=scores)


NONE = contender({0: 0.6, 1: 0.65, 2: 0.62, 3: 0.7}, arm="none")


def test_what_pairs_is_subtracted_seed_by_seed() -> None:
    other = contender({1: 0.7, 2: 0.71, 3: 0.72, 9: 0.1}, "p=0.2", "train.optimizer=adam", run=2)
    found = difference(NONE, other)
    assert (found.paired, found.n, found.why) == (True, (3,), "")
    assert found.change == mean_interval([0.7 - 0.65, 0.71 - 0.62, 0.72 - 0.7])


def test_what_does_not_pair_is_compared_by_welch_and_says_why() -> None:
    other = contender({0: 0.7, 1: 0.71, 2: 0.72}, "train.batch_size=32")
    found = difference(NONE, other)
    assert (found.paired, found.n) == (False, (4, 3))
    assert found.why == "train.batch_size is 16 and 32, so a seed sees other minibatches"
    assert found.change == welch_interval(list(NONE.scores.values()), [0.7, 0.71, 0.72])


def test_runs_without_a_common_seed_do_not_pair() -> None:
    found = difference(NONE, contender({7: 0.7, 8: 0.72, 9: 0.71}))
    assert (found.paired, found.n, found.why) == (False, (4, 3), "they have no seed in common")


def test_below_three_pairs_there_is_no_interval() -> None:
    found = difference(NONE, contender({0: 0.7, 1: 0.72}))
    assert found.change is not None
    assert found.change.lower is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (["data.name=diabetes"], "digits is scored by accuracy"),
        (["data.name=markov", "model.name=lstm"], "markov is scored by loss (language)"),
    ],
)
def test_scores_of_other_kinds_are_not_subtracted(changes: list[str], reason: str) -> None:
    found = difference(NONE, contender({0: 0.5, 1: 0.5, 2: 0.4}, *changes))
    assert found.change is None
    assert reason in found.why


def test_losses_over_other_vocabularies_are_not_subtracted() -> None:
    text = preset("markov-lstm")
    found = difference(
        contender({0: 3.0, 1: 3.1, 2: 3.2}, spec=text),
        contender({0: 3.0, 1: 3.1, 2: 3.2}, "data.symbols=70", spec=text),
    )
    assert found.change is None
    assert "200 symbols" in found.why
    assert "70 symbols" in found.why


def test_without_a_score_nothing_is_subtracted() -> None:
    found = difference(NONE, contender({}))
    assert (found.change, found.why) == (None, "no score yet")
    assert mean_score(contender({})) is None


def priced(values: np.ndarray, a_step: float, **options: str) -> Priced:
    steps = np.arange(len(values)) * 10
    scores = dict(enumerate(values[-1].tolist()))
    one = contender(scores, **options)  # type: ignore[arg-type]
    return Priced(contender=one, curve=Curve(steps=steps, values=values, seeds=tuple(scores)), a_step=a_step)


def test_at_equal_cost_every_seed_is_read_where_so_much_was_spent() -> None:
    random = np.random.default_rng(0)
    cheap, dear = (random.random((11, 4)) for _ in range(2))
    one, eight = priced(cheap, 1.0), priced(dear, 8.0, arm="dropout-8")
    budget, reached = at_equal_cost([one, eight])
    assert budget == 100.0
    assert reached[0].contender == one.contender
    slow = {}
    for seed in range(4):  # 100 / 8 = 12.5 steps: a quarter of the way from the second point to the third
        slow[seed] = dear[1, seed] + (dear[2, seed] - dear[1, seed]) * 2.5 / 10
    assert reached[1].contender.scores == pytest.approx(slow)
    assert [(other.steps, other.of) for other in reached] == [(100, 100), (12.5, 100)]
    found = reached[1].change
    assert found.paired
    assert found.change is not None
    assert found.change.estimate == pytest.approx(np.mean([slow[s] - cheap[10, s] for s in range(4)]))


def test_a_seed_that_diverged_before_has_no_score_at_that_cost() -> None:
    values = np.full((11, 3), 0.5)
    values[2:, 1] = np.nan
    assert at_cost(priced(values, 1.0), 50.0).scores.keys() == {0, 2}


@pytest.mark.parametrize(
    ("arm", "passes", "gradients"),
    [
        ("none", 1, 1.0),
        ("dropout", 1, 1.0),
        ("dropout-8", 8, 8.0),
        ("dropout-8+mask-noise", 10, 10.0),
        ("dropout-8+analytic-noise", 9, None),
        ("explicit+implicit", 1, None),
        ("l2", 1, 1.0),
    ],
)
def test_passes_are_counted_by_the_arms_definition(arm: str, passes: int, gradients: float | None) -> None:
    found = cost(SPEC, arm)
    assert (found.passes, found.examples, found.a_step("gradients")) == (passes, 16 * passes, gradients)
    assert (found.a_step("seconds"), found.seconds) == (None, None)


def test_an_arm_that_switches_has_no_one_price() -> None:
    found = cost(SPEC, "dropout-8@500:dropout", [Spent(seconds=1.0, steps=1500, seeds=1)])
    assert (found.passes, found.a_step("seconds"), found.a_step("gradients")) == (8, None, None)
    assert cost(SPEC, "dropout@500:explicit").passes == 1


def test_seconds_are_a_step_and_a_seed_over_all_blocks() -> None:
    found = cost(
        SPEC, "dropout", [Spent(seconds=8.0, steps=100, seeds=16), Spent(seconds=2.0, steps=100, seeds=4)]
    )
    assert found.step_seconds == pytest.approx(10 / 2000)
    assert found.seconds == pytest.approx(10 / 20)
    assert found.steps == 100


def test_a_texts_examples_are_tokens() -> None:
    assert cost(preset("markov-lstm"), "dropout-4").examples == 4 * 10 * 35
