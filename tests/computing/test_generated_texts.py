"""Generated texts: chains that walk as they say, and the smallest possible losses against brute force."""

from __future__ import annotations

from itertools import pairwise, product
from math import exp, log, sqrt

import numpy as np
import pytest

from dropviz.datasets import Dataset, Text
from dropviz.datasets.chains import random_rows, stationary, walk
from dropviz.datasets.hmm import Hmm, forward_loss
from dropviz.datasets.markov import Markov, chain, entropy_rate
from dropviz.streams import generator

SPLITS = ("train", "validation", "test")


def loaded(data: Dataset, seed: int = 0) -> Text:
    text = data.load(seed)
    assert isinstance(text, Text)
    return text


# Markov text.


def test_the_optimum_of_a_chain_is_its_entropy_rate_by_brute_force() -> None:
    transition = random_rows(4, 4, 0.5, seed=0, purpose="test")
    pi = stationary(transition)

    def entropy(length: int) -> float:
        """Of texts of this length, over all of them."""
        total = 0.0
        for text in product(range(4), repeat=length):
            p = pi[text[0]]
            for one, next_ in pairwise(text):
                p *= transition[one, next_]
            total -= p * log(p) if p else 0
        return total

    for length in (2, 5):
        step = entropy(length) - entropy(length - 1)
        assert entropy_rate(transition, pi) == pytest.approx(step, rel=1e-10)


def test_the_true_chain_has_the_optimal_loss_on_a_long_text() -> None:
    data = Markov(train_tokens=300_000)
    transition, _ = chain(data.symbols, data.concentration, data.chain)
    text = loaded(data).train.astype(int)
    losses = -np.log(transition[text[:-1], text[1:]])
    tolerance = 6 * losses.std() / sqrt(len(losses))
    assert data.references(0)["optimum/loss"] == pytest.approx(losses.mean(), abs=tolerance)
    assert tolerance < 0.03


def test_the_default_chain_has_a_perplexity_of_about_17() -> None:
    optima = [entropy_rate(*chain(200, 0.05, seed)) for seed in range(8)]
    assert all(16.5 < exp(optimum) < 18 for optimum in optima)
    assert len(set(optima)) == 8


def test_a_walk_takes_each_step_as_often_as_the_chain_says() -> None:
    transition = random_rows(5, 5, 1.0, seed=1, purpose="test")
    pi = stationary(transition)
    states = walk(transition, pi, 100_000, generator(0, "test"))
    steps = np.zeros((5, 5))
    np.add.at(steps, (states[:-1], states[1:]), 1)
    expected = len(states) * pi[:, None] * transition
    assert (np.abs(steps - expected) < 6 * np.sqrt(expected)).all()
    starts = [walk(transition, pi, 1, generator(seed, "test"))[0] for seed in range(2000)]
    assert (np.abs(np.bincount(starts, minlength=5) - 2000 * pi) < 6 * np.sqrt(2000 * pi)).all()


@pytest.mark.parametrize(("states", "concentration"), [(2, 1.0), (200, 0.05), (30, 0.02), (50, 100.0)])
def test_the_stationary_distribution_stays_as_it_is(states: int, concentration: float) -> None:
    for seed in range(5):
        transition = random_rows(states, states, concentration, seed=seed, purpose="test")
        pi = stationary(transition)
        assert pi.sum() == pytest.approx(1, rel=1e-12)
        assert (pi >= 0).all()
        np.testing.assert_allclose(pi @ transition, pi, rtol=1e-9)


def test_a_chain_that_is_hardly_ever_left_has_every_digit_of_its_distribution() -> None:
    stuck = np.array([[1 - 1e-18, 1e-18], [3e-18, 1 - 3e-18]])
    np.testing.assert_allclose(stationary(stuck), [0.75, 0.25], rtol=1e-12)


@pytest.mark.parametrize("kind", [Markov, Hmm])
def test_seeds_draw_texts_and_the_chain_knob_draws_the_chain(kind: type[Dataset]) -> None:
    one, other_seed = loaded(kind(), 0), loaded(kind(), 1)
    other_chain = loaded(kind.from_table({"name": kind().name, "chain": 1}), 0)
    for name in SPLITS:
        assert (getattr(one, name) != getattr(other_seed, name)).any()
        assert (getattr(one, name) != getattr(other_chain, name)).any()
    assert (one.validation != one.test).any()
    assert one.vocabulary.decode(one.train[:3]) == " ".join(map(str, one.train[:3]))


# Hidden Markov text.


def test_the_forward_algorithm_sums_over_all_paths_of_states() -> None:
    transition = random_rows(3, 3, 0.5, seed=0, purpose="test")
    emission = random_rows(3, 4, 0.5, seed=0, purpose="test")
    pi = np.array([0.5, 0.3, 0.2])
    text = np.array([2, 0, 3, 3, 1, 0], np.uint16)
    chance = 0.0
    for path in product(range(3), repeat=len(text)):
        p = pi[path[0]] * emission[path[0], text[0]]
        for step in range(1, len(text)):
            p *= transition[path[step - 1], path[step]] * emission[path[step], text[step]]
        chance += p
    found = forward_loss(text, transition, emission, pi)
    assert found == pytest.approx(-log(chance) / len(text), rel=1e-12)


def test_the_true_model_beats_what_knows_the_last_symbol_only() -> None:
    data = Hmm()
    transition, emission, pi = data._model()
    text = loaded(data).validation.astype(int)
    marginal = pi @ emission
    state = (pi[:, None] * emission / marginal).T  # of each symbol, given that it was emitted
    last = -np.log(((state @ transition)[text[:-1]] * emission[:, text[1:]].T).sum(axis=1)).mean()
    references = data.references(0)
    assert references["optimum/loss"] + 0.2 < last < references["unigram/loss"] - 0.2


def test_a_text_of_one_state_is_as_likely_as_its_emissions() -> None:
    emission = np.array([[0.2, 0.8]])
    loss = forward_loss(np.array([0, 1, 1]), np.ones((1, 1)), emission, np.ones(1))
    assert loss == pytest.approx(-(log(0.2) + 2 * log(0.8)) / 3)
