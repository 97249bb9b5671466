"""Text of a hidden Markov model."""

import numpy as np


def texts():
    """Three texts of one hidden Markov model: a walk along states, each of which emits symbols of its own."""
    random = generator("data/hmm")
    transition = random_rows(STATES, STATES, TRANSITION, "data/hmm/transition")
    emission = cumulative(random_rows(STATES, SYMBOLS, EMISSION, "data/hmm/emission"))
    return [emitted(walk(transition, length, random), emission, random) for length in LENGTHS]


def emitted(hidden, emission, random):
    """A symbol for each state."""
    uniform, text = random.random(len(hidden)), np.empty(len(hidden), dtype=np.int64)
    for state, row in enumerate(emission):
        text[hidden == state] = np.searchsorted(row, uniform[hidden == state], side="right")
    return text
