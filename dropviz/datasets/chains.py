"""What the generated texts share: their base, random rows of probabilities, a stationary distribution, and a walk along a chain."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from typing import ClassVar

import numpy as np
from pydantic import Field

from dropviz.datasets.dataset import Dataset, Text
from dropviz.streams import generator
from dropviz.task import Task, language
from dropviz.text import Vocabulary


class ChainText(Dataset):
    """A text that a chain makes, symbol by symbol; the chain is the same for all seeds, the text is not."""

    symbols: int
    chain: int = Field(
        0, ge=0, le=2**31, title="Chain", description="Which chain is drawn; all seeds share it."
    )
    train_tokens: int = Field(
        20_000, ge=1000, le=10_000_000, title="Training tokens", description="Drawn afresh for each seed."
    )
    held_out_tokens: int = Field(
        10_000,
        ge=100,
        le=1_000_000,
        title="Held-out tokens",
        description="Of the validation text, and as many of the test text; drawn afresh for each seed.",
    )

    origin: ClassVar[str] = "generated"
    licence: ClassVar[str] = "none needed"
    made_by: ClassVar[str]  # what the symbols are symbols of

    @property
    def task(self) -> Task:
        """The next symbol."""
        return language(self.symbols, "symbol")

    @abstractmethod
    def drawn(self, length: int, random: np.random.Generator) -> np.ndarray:
        """A text of this length (tokens,), from the stationary distribution on."""

    def load(self, seed: int) -> Text:
        """Three independent texts of this seed."""
        random = generator(seed, f"data/{self.name}")
        vocabulary = symbols(self.symbols, f"symbols of a {self.made_by}")
        train, validation, test = (
            self.drawn(length, random).astype(vocabulary.dtype)
            for length in (self.train_tokens, self.held_out_tokens, self.held_out_tokens)
        )
        return Text(train=train, validation=validation, test=test, vocabulary=vocabulary)


def random_rows(rows: int, columns: int, concentration: float, *, seed: int, purpose: str) -> np.ndarray:
    """Probabilities (rows, columns), each row drawn from a symmetric Dirichlet distribution of this concentration."""
    return generator(seed, purpose).dirichlet(np.full(columns, concentration), size=rows)


def stationary(transition: np.ndarray) -> np.ndarray:
    """The distribution π with π P = π of an irreducible chain P (states, states); (states,).

    States are eliminated one by one without a single subtraction, which keeps every digit even where some states are
    hardly ever left (Grassmann, Taksar and Heyman 1985).
    """
    p = transition.copy()
    for state in range(len(p) - 1, 0, -1):
        p[:state, state] /= p[state, :state].sum()
        p[:state, :state] += np.outer(p[:state, state], p[state, :state])
    pi = np.ones(len(p))
    for state in range(1, len(p)):
        pi[state] = pi[:state] @ p[:state, state]
    return pi / pi.sum()


def walk(transition: np.ndarray, pi: np.ndarray, length: int, random: np.random.Generator) -> np.ndarray:
    """States (length,) of a chain that starts in its stationary distribution, by the inverse of the distribution functions."""
    rows: list[list[float]] = cumulative(transition).tolist()
    state = bisect_right(cumulative(pi).tolist(), random.random())
    states = [state]
    for uniform in random.random(length - 1).tolist():
        state = bisect_right(rows[state], uniform)
        states.append(state)
    return np.array(states)


def cumulative(probabilities: np.ndarray) -> np.ndarray:
    """Distribution functions over the last axis, which end in 1 whatever was rounded."""
    sums = probabilities.cumsum(axis=-1)
    sums[..., -1] = 1.0
    return sums


def symbols(count: int, description: str) -> Vocabulary:
    """A vocabulary of numbered symbols; each of them may occur, so there is no ``<unk>``."""
    return Vocabulary(tokens=tuple(map(str, range(count))), tokenizer=description)
