"""Philox 4×64-10 in tensor operations: the words of ``streams.BitStreams``, drawn on the device that uses them.

Source: Salmon, Moraes, Dror & Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011; numpy counts as this does. torch
computes little with unsigned words, so they stand in int64: products and sums wrap around, shifts are masked.

Shapes: A streams, the addresses (seed, purpose) in order; n blocks of four words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dropviz.streams import WORDS_PER_COUNT, BitStreams

ROUNDS = 10
FACTORS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)  # of the first and the third word of a block
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)  # what the two words of a key grow by from round to round
HALF = 2**32 - 1
SERVED_BY_THE_HOST = (
    "cpu",
    "mps",
)  # numpy is faster than tensor operations on the one, the other lacks float64


class Words:
    """Streams as tensors, a buffer of steps at a time: on the device that uses them, or on the CPU where numpy draws for it.

    Attributes:
        device: Where the words are.
    """

    def __init__(self, streams: BitStreams, device: str) -> None:
        on_host = torch.device(device).type in SERVED_BY_THE_HOST
        self.streams, self.device = streams, "cpu" if on_host else device
        self.philox = None if on_host else Philox(streams.keys, device)

    def buffer(self, step: int) -> Tensor:
        """The words from ``step`` on, for ``streams.steps`` steps: (steps, S, P, words), int64."""
        streams = self.streams
        if self.philox is None:
            return torch.from_numpy(streams.buffer(step)[1].view(np.int64))
        drawn = self.philox.words(step * streams.counts, streams.steps * streams.counts)
        by_step = drawn.view(-1, streams.steps, streams.words).transpose(0, 1)
        return by_step.reshape(streams.steps, *streams.shape, streams.words)


class Philox:
    """The generator of several keys (two 64-bit numbers each), at any place of its sequence."""

    def __init__(self, keys: Sequence[tuple[int, int]], device: str) -> None:
        grown = [
            [[_signed(key[half] + turn * WEYL[half]) for key in keys] for half in range(2)]
            for turn in range(ROUNDS)
        ]
        self.keys = _sent(grown, device).unsqueeze(-1)  # (rounds, 2, A, 1)
        self.factors = _sent([_signed(factor) for factor in FACTORS], device).view(2, 1, 1)

    def words(self, count: int, blocks: int) -> Tensor:
        """What ``numpy.random.Philox(key=key, counter=count)`` yields, of each key: (A, 4·blocks), int64.

        Args:
            count: From 0 to below 2¹²⁸.
            blocks: How many; each has a count of its own, the first ``count + 1``.
        """
        even, odd = self._counters(count + 1, blocks)
        for key in self.keys:
            high, low = _product(even, self.factors)
            even, odd = high.flip(0) ^ odd ^ key, low.flip(0)
        in_order = torch.stack([even, odd], dim=-1).permute(1, 2, 0, 3)
        return in_order.reshape(-1, blocks * WORDS_PER_COUNT)

    def _counters(self, first: int, blocks: int) -> tuple[Tensor, Tensor]:
        """Words 0 and 2, and words 1 and 3, of the counts from ``first`` on: (2, 1, n) each."""
        index = torch.arange(blocks, device=self.keys.device)
        before_carry = min(2**64 - first % 2**64, 2**63 - 1)
        lowest, next_to_it = index + _signed(first), (index >= before_carry) + _signed(first >> 64)
        zero = torch.zeros_like(index)
        return torch.stack([lowest, zero]).unsqueeze(1), torch.stack([next_to_it, zero]).unsqueeze(1)


def _product(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The upper and the lower 64 bits of an unsigned product, by halves of 32 bits."""
    a_high, a_low, b_high, b_low = upper(a), a & HALF, upper(b), b & HALF
    middle = a_high * b_low + upper(a_low * b_low)
    high = a_high * b_high + upper(middle) + upper(a_low * b_high + (middle & HALF))
    return high, a * b


def upper(a: Tensor) -> Tensor:
    """The upper 32 bits, as a number that is not negative."""
    return (a >> 32).bitwise_and_(HALF)


def _signed(number: int) -> int:
    """The lower 64 bits as int64 reads them."""
    return (number + 2**63) % 2**64 - 2**63


def _sent(values: Sequence[object], device: str) -> Tensor:
    """Numbers on a device that goes on working meanwhile."""
    return torch.tensor(values, dtype=torch.int64).to(device, non_blocking=True)
