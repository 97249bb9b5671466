"""Texts that a chain makes."""

from bisect import bisect_right

import numpy as np


def random_rows(rows, columns, concentration, purpose):
    """Probabilities, each row drawn from a symmetric Dirichlet distribution; the same for all seeds."""
    return generator(purpose, CHAIN).dirichlet(np.full(columns, concentration), size=rows)


def stationary(transition):
    """π with π P = π, by eliminating states one by one (Grassmann, Taksar and Heyman 1985)."""
    p = transition.copy()
    for state in range(len(p) - 1, 0, -1):
        p[:state, state] /= p[state, :state].sum()
        p[:state, :state] += np.outer(p[:state, state], p[state, :state])
    pi = np.ones(len(p))
    for state in range(1, len(p)):
        pi[state] = pi[:state] @ p[:state, state]
    return pi / pi.sum()


def walk(transition, length, random):
    """States of the chain from its stationary distribution on."""
    rows = cumulative(transition).tolist()
    states = [bisect_right(cumulative(stationary(transition)).tolist(), random.random())]
    for uniform in random.random(length - 1).tolist():
        states.append(bisect_right(rows[states[-1]], uniform))
    return np.array(states)


def cumulative(probabilities):
    """Distribution functions, which end in 1 whatever was rounded."""
    sums = probabilities.cumsum(axis=-1)
    sums[..., -1] = 1.0
    return sums
