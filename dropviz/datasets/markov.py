"""Text of a Markov chain: the next symbol depends on the last one, and the smallest possible loss is known."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.chains import ChainText, random_rows, stationary, walk
from dropviz.text import unigram_loss


class Markov(ChainText):
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

    title: ClassVar[str] = "Markov text (known optimum)"
    made_by: ClassVar[str] = "Markov chain"

    def drawn(self, length: int, random: np.random.Generator) -> np.ndarray:
        """A walk along the chain."""
        return walk(*chain(self.symbols, self.concentration, self.chain), length, random)

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
