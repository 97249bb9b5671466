"""Text of a Markov chain: the next symbol depends on the last one, and the smallest possible loss is known."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.chains import random_rows, stationary, symbols, walk
from dropviz.datasets.dataset import Dataset, Text
from dropviz.streams import generator
from dropviz.task import Task, language
from dropviz.text import unigram_loss


class Markov(Dataset):
    """A chain over symbols whose rows of transition probabilities are drawn from a symmetric Dirichlet distribution.

    No model that knows the text so far has an expected loss below the chain's entropy rate
    H = −Σ_i π_i Σ_j P_ij log P_ij, with π its stationary distribution: that is the line ``optimum/loss``.
    """

    name: Literal["markov"] = "markov"
    symbols: int = Field(200, ge=10, le=2000, title="Symbols", description="Tokens of the vocabulary.")
    concentration: float = Field(
        0.05,
        ge=0.02,
        le=100,
        title="Concentration",
        description="Of the Dirichlet distribution of each symbol's successors: the smaller, the fewer of them are likely.",
    )
    chain: int = Field(
        0, ge=0, le=2**31, title="Chain", description="Which chain is drawn; all seeds share it."
    )
    train_tokens: int = Field(
        20_000,
        ge=1000,
        le=10_000_000,
        title="Training tokens",
        description="Drawn afresh for each seed.",
    )
    held_out_tokens: int = Field(
        10_000,
        ge=100,
        le=1_000_000,
        title="Held-out tokens",
        description="Of the validation text, and as many of the test text; drawn afresh for each seed.",
    )

    title: ClassVar[str] = "Markov text (known optimum)"
    origin: ClassVar[str] = "generated"
    licence: ClassVar[str] = "none needed"

    @property
    def task(self) -> Task:
        """The next symbol."""
        return language(self.symbols, "symbol")

    def load(self, seed: int) -> Text:
        """Three independent walks of this seed, each from the stationary distribution on."""
        transition, pi = chain(self.symbols, self.concentration, self.chain)
        random = generator(seed, "data/markov")
        vocabulary = symbols(self.symbols, "symbols of a Markov chain")
        train, validation, test = (
            walk(transition, pi, length, random).astype(vocabulary.dtype)
            for length in (self.train_tokens, self.held_out_tokens, self.held_out_tokens)
        )
        return Text(train=train, validation=validation, test=test, vocabulary=vocabulary)

    def references(self, seed: int) -> dict[str, float]:
        """The entropy rate, and the training text's unigram on the validation text, in nats a token."""
        text = self.load(seed)
        return {
            "optimum/loss": entropy_rate(*chain(self.symbols, self.concentration, self.chain)),
            "unigram/loss": unigram_loss(text.train, text.validation, self.symbols),
        }


@lru_cache(maxsize=8)
def chain(symbols: int, concentration: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Transition probabilities P (symbols, symbols), from the row to the column, and their stationary distribution."""
    transition = random_rows(symbols, symbols, concentration, seed=seed, purpose="data/markov/chain")
    return transition, stationary(transition)


def entropy_rate(transition: np.ndarray, pi: np.ndarray) -> float:
    """−Σ_i π_i Σ_j P_ij log P_ij, in nats a token (Cover and Thomas, Elements of Information Theory, theorem 4.2.4)."""
    from scipy.special import entr

    return float(pi @ entr(transition).sum(axis=1))
