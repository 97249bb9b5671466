"""What the generated texts share: random rows of probabilities, a chain's stationary distribution, and a walk along it."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from dropviz.streams import generator
from dropviz.text import Vocabulary


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
