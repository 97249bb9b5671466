"""Text of a hidden Markov model: what comes next depends on a state that only the whole text so far tells of."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.chains import ChainText, cumulative, random_rows, stationary, walk
from dropviz.text import unigram_loss


class Hmm(ChainText):
    """A Markov chain over hidden states, each of which emits symbols of its own distribution.

    Many symbols are emitted by several states, so the last one alone does not tell the state: with the default knobs
    the unigram's loss is about 6.4 nats, the best from the last symbol alone 5.8 and the best from the whole past 5.5.
    """

    name: Literal["hmm"] = "hmm"
    states: int = Field(20, ge=2, le=200, title="Hidden states", description="Each emits symbols of its own.")
    symbols: int = Field(1000, ge=10, le=10_000, title="Symbols", description="Tokens of the vocabulary.")
    transition: float = Field(
        0.05,
        ge=0.02,
        le=100,
        title="Concentration of the transitions",
        description="Of the Dirichlet distribution of each state's successors: the smaller, the fewer of them are likely.",
    )
    emission: float = Field(
        0.05,
        ge=0.01,
        le=100,
        title="Concentration of the emissions",
        description="Of the Dirichlet distribution of each state's symbols: the larger, the less a symbol tells of the state.",
    )
    train_tokens: int = Field(
        50_000, ge=1000, le=10_000_000, title="Training tokens", description="Drawn afresh for each seed."
    )

    title: ClassVar[str] = "Hidden Markov text (needs memory)"
    made_by: ClassVar[str] = "hidden Markov model"

    def drawn(self, length: int, random: np.random.Generator) -> np.ndarray:
        """A walk along the hidden states, and what they emit."""
        transition, emission, pi = self._model()
        hidden, uniform = walk(transition, pi, length, random), random.random(length)
        text = np.empty(length, dtype=np.int64)
        for state, row in enumerate(cumulative(emission)):
            text[hidden == state] = np.searchsorted(row, uniform[hidden == state], side="right")
        return text

    def _model(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return model(self.states, self.symbols, self.transition, self.emission, self.chain)

    def references(self, seed: int) -> dict[str, float]:
        """Of this seed's validation text, in nats a token: the loss of the true model, and of the training text's unigram.

        The true model's loss is not an expectation but what it has on that very text, so that a trained model can be
        below it by chance alone, and only by a little.
        """
        return dict(_references(self, seed))


@cache
def _references(data: Hmm, seed: int) -> dict[str, float]:
    text = data.load(seed)
    return {
        "optimum/loss": forward_loss(text.validation, *data._model()),
        "unigram/loss": unigram_loss(text.train, text.validation, data.symbols),
    }


@lru_cache(maxsize=8)
def model(
    states: int, symbols: int, transition: float, emission: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transition probabilities (states, states), emission probabilities (states, symbols), stationary distribution."""
    a = random_rows(states, states, transition, seed=seed, purpose="data/hmm/transition")
    b = random_rows(states, symbols, emission, seed=seed, purpose="data/hmm/emission")
    return a, b, stationary(a)


def forward_loss(text: np.ndarray, transition: np.ndarray, emission: np.ndarray, pi: np.ndarray) -> float:
    """−log p(x_1, …, x_T) / T, in nats a token: the loss of the model that made the text, which no other one beats in expectation.

    By the forward algorithm (Baum and Petrie 1966; Rabiner 1989, section III.A, scaled): the distribution of the
    hidden state given the past, times the emission of x_t, sums to p(x_t | x_1 … x_{t−1}); T steps of states² products.

    Args:
        text: Token numbers (tokens,).
        transition: From the row's state to the column's (states, states).
        emission: Probability of each symbol in each state (states, symbols).
        pi: Distribution of the first state (states,).
    """
    past, chances = pi, np.empty(len(text))
    emitted = np.ascontiguousarray(emission.T)
    for step, token in enumerate(text):
        joint = past * emitted[token]
        chances[step] = joint.sum()
        past = joint / chances[step] @ transition
    return float(-np.log(chances).mean())
