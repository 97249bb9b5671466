"""The simplest language model: how often each token stands in the training text, whatever came before it."""

from __future__ import annotations

import numpy as np

CHUNK = 1_000_000  # tokens at once: a memory-mapped text is never held whole


def unigram_loss(train: np.ndarray, held_out: np.ndarray, size: int) -> float:
    """Cross-entropy of the training text's unigram on a held-out text, in nats a token.

    q_v = (n_v + 1) / Σ_u (n_u + 1), with the counts n of the training text: each token is counted once more (Laplace),
    so that none is impossible.

    Args:
        train: Token numbers (tokens,).
        held_out: Token numbers (tokens,), at least one.
        size: Tokens of the vocabulary.
    """
    counts = _counts(train, size) + 1
    log_q = np.log(counts / counts.sum())
    return float(-(_counts(held_out, size) @ log_q) / len(held_out))


def _counts(text: np.ndarray, size: int) -> np.ndarray:
    counts = np.zeros(size, dtype=np.int64)
    for start in range(0, len(text), CHUNK):
        counts += np.bincount(text[start : start + CHUNK], minlength=size)
    return counts
