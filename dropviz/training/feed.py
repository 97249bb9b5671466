"""What training reads: minibatches of examples or segments of running texts, and whole splits in pieces.

Shapes: S seeds, B examples or parallel streams of text, T tokens, N rows of logits: B, of a text B·T.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dropviz.datasets import Splits, Text
from dropviz.experiment import EVALUATION_STREAMS, ExperimentSpec
from dropviz.philox import Words, upper
from dropviz.streams import BitStreams, generator

HELD = 2**24  # numbers that a piece of an evaluation may hold at once
GATHERED, MOST_GATHERED = 2**18, 64  # numbers, and steps, of the minibatches that are gathered at once
SHORTEST_STREAM = 3  # tokens
EVALUATED_OF_TRAINING = 2000  # tokens: enough for a curve to compare with


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Inputs and targets.

    Attributes:
        x: (S, B, *shape), of a text tokens (S, B, T).
        y: Labels (S, N), or targets (S, N, outputs).
        starts: Whether the text begins anew, so that nothing is carried over.
        share: Its length relative to a full segment, which the learning rate may follow.
        counted: The last so many rows count; None for all.
    """

    x: Tensor
    y: Tensor
    starts: bool = False
    share: float = 1.0
    counted: int | None = None


class Feed(Protocol):
    """The data of a block of seeds."""

    rows: int  # N of a training step

    def batch(self, step: int) -> Batch:
        """What this step trains on; the same whatever seeds run beside each."""
        ...

    def pieces(self, split: str) -> Iterator[Batch]:
        """A whole split in order; of a text, each piece goes on where the one before ended, unless it ``starts``."""
        ...

    def probe(self, examples: int) -> Batch:
        """The first so many training examples, or tokens of the training text."""
        ...

    def fixed_batches(self, count: int) -> list[Batch]:
        """Fixed batches of the training split of a step's size, two or more; smaller ones where it has too few examples."""
        ...


def feed(spec: ExperimentSpec, seeds: Sequence[int], device: str) -> Feed:
    """The data of an experiment for these seeds."""
    loaded = [spec.data.load(seed) for seed in seeds]
    if spec.data.task.kind == "language":
        return Segments(spec, seeds, [one for one in loaded if isinstance(one, Text)], device)
    return Examples(spec, seeds, [one for one in loaded if isinstance(one, Splits)], device)


class Minibatches:
    """Row numbers drawn uniformly with replacement, an independent stream a seed: (S, B) at every step."""

    def __init__(self, seeds: Sequence[int], examples: int, batch_size: int, device: str) -> None:
        self.words = Words(BitStreams(seeds, ["train/minibatch"], batch_size), device)
        self.examples, self.batch_size, self.device = examples, batch_size, device
        self.offsets = torch.arange(len(seeds), device=self.words.device)[:, None] * examples
        self.first = 0
        self.rows: tuple[Tensor, ...] = ()

    def at(self, step: int) -> Tensor:
        """Rows of the stacked training split laid end to end (S × examples): (S × B,)."""
        if not self.first <= step < self.first + len(self.rows):
            high = upper(self.words.buffer(step)[:, :, 0, : self.batch_size])
            rows = ((high * self.examples) >> 32) + self.offsets
            self.first, self.rows = step, rows.flatten(1).to(self.device).unbind()
        return self.rows[step - self.first]


class Examples:
    """Independent examples; every seed has its own splits."""

    def __init__(
        self, spec: ExperimentSpec, seeds: Sequence[int], splits: Sequence[Splits], device: str
    ) -> None:
        self.splits = {
            name: _stacked([vars(one)[name] for one in splits]).to(device) for name in vars(splits[0])
        }
        x, y = self.splits["x_train"], self.splits["y_train"]
        self.x_rows, self.y_rows = x.flatten(0, 1), y.flatten(0, 1)
        self.seeds, self.rows = len(splits), spec.train.batch_size
        self.minibatches = Minibatches(seeds, x.shape[1], self.rows, device)
        step = self.seeds * self.rows * x[0, 0].numel()
        self.ahead = max(1, min(MOST_GATHERED, GATHERED // step))
        self.first, self.gathered = 0, list[Batch]()
        self.held = max(1, HELD // (self.seeds * spec.model.units(spec.data.task)))

    def batch(self, step: int) -> Batch:
        """Drawn with replacement."""
        if not self.first <= step < self.first + len(self.gathered):
            self.first, self.gathered = step, self._gather(step)
        return self.gathered[step - self.first]

    def _gather(self, step: int) -> list[Batch]:
        """Those of the steps from this one on: for small networks, gathering each alone takes a twentieth of a step."""
        rows = torch.cat([self.minibatches.at(step + later) for later in range(self.ahead)])
        x, y = (
            values.index_select(0, rows).view(self.ahead, self.seeds, self.rows, *values.shape[1:]).unbind()
            for values in (self.x_rows, self.y_rows)
        )
        return [Batch(x=one, y=other) for one, other in zip(x, y, strict=True)]

    def pieces(self, split: str) -> Iterator[Batch]:
        """As many examples at once as may be held."""
        x, y = self.splits[f"x_{split}"], self.splits[f"y_{split}"]
        for first in range(0, x.shape[1], self.held):
            part = slice(first, first + self.held)
            yield Batch(x=x[:, part], y=y[:, part])

    def probe(self, examples: int) -> Batch:
        """The first ones."""
        return self._part(0, examples)

    def fixed_batches(self, count: int) -> list[Batch]:
        """The first examples, each in one batch."""
        examples = self.splits["y_train"].shape[1]
        size = max(1, min(self.rows, examples // 2))
        return [self._part(index * size, size) for index in range(min(count, examples // size))]

    def _part(self, first: int, size: int) -> Batch:
        part = slice(first, first + size)
        return Batch(x=self.splits["x_train"][:, part], y=self.splits["y_train"][:, part])


def _stacked(arrays: Sequence[np.ndarray]) -> Tensor:
    """(S, …); without copies where all seeds have the same array, as the official test splits are."""
    if all(array is arrays[0] for array in arrays):
        return torch.from_numpy(arrays[0]).expand(len(arrays), *arrays[0].shape)
    return torch.from_numpy(np.stack(arrays))


class Segments:
    """Running texts, cut into B parallel streams that are read segment by segment (truncated backpropagation in time).

    The lengths of the segments are the same for every seed, so that seeds can run side by side.
    """

    def __init__(
        self, spec: ExperimentSpec, seeds: Sequence[int], texts: Sequence[Text], device: str
    ) -> None:
        self.texts, self.device, self.streams = texts, device, spec.train.batch_size
        tokens = min(len(one.train) for one in texts)
        length = tokens // self.streams
        if length < SHORTEST_STREAM:
            raise ValueError(
                f"The training text of {tokens:,} tokens is too short for {self.streams} streams: choose fewer streams"
                f" (train.batch_size), so that each has {SHORTEST_STREAM} tokens or more."
            )
        self.full = min(spec.language.segment, length - 1)
        self.rows = self.streams * self.full
        self.train = [one.train[: self.streams * length].reshape(self.streams, length) for one in texts]
        self.places = Places(length - 1, self.full, random=spec.language.random_lengths)

    def batch(self, step: int) -> Batch:
        """The next segment of every stream."""
        start, length = self.places.at(step)
        x, y = self._tensors([streams[:, start : start + length + 1] for streams in self.train])
        return Batch(x=x, y=y, starts=start == 0, share=length / self.full)

    def pieces(self, split: str) -> Iterator[Batch]:
        """Every token of a split but the first is predicted once; of the training text the first two thousand."""
        texts = [vars(one)[split] for one in self.texts]
        tokens = min(len(text) for text in texts)
        if split == "train":
            tokens = min(tokens, EVALUATED_OF_TRAINING)
        streams = min(EVALUATION_STREAMS, max(1, (tokens - 1) // 2))
        length = (tokens - 1) // streams
        for start in range(0, length, self.full):
            stop = min(start + self.full, length)
            rows = [
                np.stack([text[at * length + start : at * length + stop + 1] for at in range(streams)])
                for text in texts
            ]
            x, y = self._tensors(rows)
            yield Batch(x=x, y=y, starts=start == 0)
        if left := tokens - 1 - streams * length:
            first = tokens - 1 - max(left, min(self.full, tokens - 1))
            x, y = self._tensors([text[None, first:tokens] for text in texts])
            yield Batch(x=x, y=y, starts=True, counted=left)

    def probe(self, examples: int) -> Batch:
        """The first segment of so many streams that it has ``examples`` tokens or more."""
        return self._segment(0, -(-examples // self.full))

    def fixed_batches(self, count: int) -> list[Batch]:
        """Segments of all streams, evenly spaced along them and each begun without a past."""
        there = self.train[0].shape[1] - 1
        found = max(1, min(count, there // self.full))
        return [self._segment(index * (there // found), self.streams) for index in range(found)]

    def _segment(self, start: int, streams: int) -> Batch:
        x, y = self._tensors([rows[:streams, start : start + self.full + 1] for rows in self.train])
        return Batch(x=x, y=y, starts=True)

    def _tensors(self, tokens: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Inputs (S, B, T) and the tokens that follow them (S, B·T), out of (B, T + 1) a seed."""
        numbers = torch.from_numpy(np.stack(tokens).astype(np.int64)).to(self.device, non_blocking=True)
        return numbers[..., :-1], numbers[..., 1:].flatten(1)


class Places:
    """Where each step's segment begins in the streams, and how long it is.

    Args:
        tokens: Of a stream, that can be predicted.
        full: Length of a segment.
        random: Half as long in one of twenty segments, with a spread of five tokens around that (Merity et al. 2018), so
            that the cuts fall elsewhere in every pass over the text.
    """

    SPREAD, HALVED, SHORTEST, BEYOND = 5, 0.05, 5, 10

    def __init__(self, tokens: int, full: int, *, random: bool) -> None:
        self.tokens, self.full = tokens, full
        self.random = generator(0, "train/segments") if random else None
        self.drawn: list[tuple[int, int]] = []

    def at(self, step: int) -> tuple[int, int]:
        """First token and length."""
        if self.random is None:
            return step % (self.tokens // self.full) * self.full, self.full
        while len(self.drawn) <= step:
            start = sum(self.drawn[-1]) if self.drawn else 0
            start = start if self.tokens - start >= 2 else 0
            self.drawn.append((start, min(self._length(), self.tokens - start)))
        return self.drawn[step]

    def _length(self) -> int:
        assert self.random is not None
        middle = self.full / 2 if self.random.random() < self.HALVED else self.full
        return int(np.clip(self.random.normal(middle, self.SPREAD), self.SHORTEST, self.full + self.BEYOND))
