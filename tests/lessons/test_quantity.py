"""Quantities: what a person may write, against sums by hand and the intervals of the analysis."""

from __future__ import annotations

import numpy as np
import pytest

from dropviz.analysis import mean_interval, ratio_interval
from dropviz.choices import SpecError
from dropviz.lessons.quantity import Quantity

A, B = [0.6, 0.7, 0.65, 0.72], [0.5, 0.55, 0.6, 0.52]
VALUES = {
    ("none", "test/loss"): {10: dict(enumerate(B))},
    ("dropout-8+mask-noise", "test/loss"): {0: dict(enumerate(B)), 10: dict(enumerate(A))},
    ("none", "sites/hidden1/share"): {0: {0: 2.0, 1: 3.0, 7: 9.0}, 10: {0: 1.0, 1: 1.0, 7: 1.0}},
}


def test_a_difference_is_taken_seed_by_seed() -> None:
    found = Quantity.read("dropout-8+mask-noise test/loss - none test/loss")
    assert found.by_seed(VALUES) == pytest.approx(
        {seed: a - b for seed, (a, b) in enumerate(zip(A, B, strict=True))}
    )
    assert found.interval(VALUES) == mean_interval(np.subtract(A, B))


def test_a_ratio_is_that_of_the_means_with_fiellers_interval() -> None:
    found = Quantity.read("dropout-8+mask-noise test/loss", "none test/loss").interval(VALUES)
    assert found == ratio_interval(A, B)


def test_a_term_may_have_a_factor_and_a_step() -> None:
    found = Quantity.read("2 * dropout-8+mask-noise test/loss @ 0 + 0.5 * none test/loss")
    assert found.by_seed(VALUES) == pytest.approx({seed: 2.5 * b for seed, b in enumerate(B)})


def test_only_seeds_that_all_terms_have_count() -> None:
    found = Quantity.read("none test/loss - none sites/hidden1/share @ 0").by_seed(VALUES)
    assert found == pytest.approx({0: B[0] - 2, 1: B[1] - 3})


def test_the_steps_are_those_of_all_terms() -> None:
    both = Quantity.read("none test/loss + dropout-8+mask-noise test/loss")
    assert both.steps(VALUES) == [10]
    assert Quantity.read("dropout-8+mask-noise test/loss").steps(VALUES) == [0, 10]


def test_what_was_not_measured_is_named() -> None:
    with pytest.raises(LookupError, match="none has no test/accuracy"):
        Quantity.read("none test/accuracy").interval(VALUES)
    with pytest.raises(LookupError, match="at step 5"):
        Quantity.read("none test/loss @ 5").interval(VALUES)


@pytest.mark.parametrize(
    "text", ["", "none", "none test", "none test/loss -", "none test/loss-dropout test/loss", "a b/c @ x"]
)
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(SpecError, match="is not a quantity: write an arm and a metric"):
        Quantity.read(text)
