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


def _philox(seed: int, purpose: str, count: int = 0) -> np.random.Philox:
    digest = hashlib.blake2b(purpose.encode(), digest_size=8).digest()
    return np.random.Philox(key=(seed, int.from_bytes(digest, "little")), counter=count)


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A numpy generator for draws that are made once: splits, label noise, initial weights."""
    return np.random.Generator(_philox(seed, purpose))


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
        self.addresses = [(seed, purpose) for seed in seeds for purpose in purposes]
        self.shape = (len(seeds), len(purposes))
        self.counts = -(-words // WORDS_PER_COUNT)
        self.words = self.counts * WORDS_PER_COUNT
        self.steps = min(ahead, max(1, BUFFERED_WORDS // (self.words * len(self.addresses))))
        self._next = -1
        self._streams: list[np.random.Philox] = []

    def buffer(self, step: int) -> tuple[int, np.ndarray]:
        """The words from ``step`` on, for as many steps as a buffer holds: (step, (steps, S, P, words))."""
        if step != self._next:
            self._streams = [_philox(*address, step * self.counts) for address in self.addresses]
        self._next = step + self.steps
        drawn = np.empty((self.steps, len(self.addresses), self.words), dtype=np.uint64)
        for column, stream in enumerate(self._streams):
            drawn[:, column] = stream.random_raw(self.steps * self.words).reshape(self.steps, self.words)
        return step, drawn.reshape(self.steps, *self.shape, self.words)
