"""Random numbers addressed by (seed, purpose, step): one counter-based stream for each use.

A stream is Philox 4×64 keyed by the seed and a hash of the purpose, with the counter set by the step. So a
draw depends on nothing but its address: not on the seeds that run beside it, nor on which steps were drawn
before. Resuming, pausing and forking need no generator state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

WORDS_PER_COUNT = 4  # Philox 4×64 yields four 64-bit words for each value of its counter
BUFFERED_WORDS = 2**17  # over all streams: long enough to hide the cost of a call, short enough for the cache
MOST_STEPS = 256


def key(seed: int, purpose: str) -> tuple[int, int]:
    """Philox's key of an address: the seed and a hash of the purpose.

    A hash from 2⁶³ on is rounded to 53 bits, as numpy does to it beside a smaller number; results rely on these numbers.
    """
    digest = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
    return seed, digest if digest < 2**63 else int(float(digest))


def philox(key: tuple[int, int], count: int = 0) -> np.random.Philox:
    """The stream of a key from a place on."""
    return np.random.Philox(key=np.array(key, dtype=np.uint64), counter=count)


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A numpy generator for draws that are made once: splits, label noise, initial weights."""
    return np.random.Generator(philox(key(seed, purpose)))


class BitStreams:
    """Raw 64-bit words for each of several (seed, purpose) streams, the same number at every step.

    Args:
        seeds: One group of streams a seed.
        purposes: The streams of each group.
        words: 64-bit words that one stream yields a step.
        ahead: The most steps to draw at once; 1 where no other step will be asked for.
    """

    def __init__(
        self, seeds: Sequence[int], purposes: Sequence[str], words: int, *, ahead: int = MOST_STEPS
    ) -> None:
        self.keys = [key(seed, purpose) for seed in seeds for purpose in purposes]
        self.shape = (len(seeds), len(purposes))
        self.counts = -(-words // WORDS_PER_COUNT)
        self.words = self.counts * WORDS_PER_COUNT
        self.steps = min(ahead, max(1, BUFFERED_WORDS // (self.words * len(self.keys))))
        self._next = -1
        self._streams: list[np.random.Philox] = []

    def buffer(self, step: int) -> tuple[int, np.ndarray]:
        """The words from ``step`` on, for as many steps as a buffer holds: (step, (steps, S, P, words))."""
        if step != self._next:
            self._streams = [philox(each, step * self.counts) for each in self.keys]
        self._next = step + self.steps
        drawn = np.empty((self.steps, len(self.keys), self.words), dtype=np.uint64)
        for column, stream in enumerate(self._streams):
            drawn[:, column] = stream.random_raw(self.steps * self.words).reshape(self.steps, self.words)
        return step, drawn.reshape(self.steps, *self.shape, self.words)
