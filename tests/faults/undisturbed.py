"""What a job computes where nothing disturbs it: the same block of seeds, trained in this process without engine and store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch

from dropviz.engine.child import kept_steps
from dropviz.experiment import ExperimentSpec
from dropviz.kernels import full_precision
from dropviz.training import Block, Record, Snapshot

Entry = tuple[int, str, str, tuple[int, ...], bytes]  # step, name, dtype, shape, and every bit


@dataclass
class Undisturbed:
    """The records of a run in order, and the weights that are kept, by step and name."""

    series: list[Entry] = field(default_factory=list)
    weights: dict[int, dict[str, bytes]] = field(default_factory=dict)


class Trainee:
    """A training job that is computed as far as somebody asks."""

    def __init__(self, spec: str, arm: str, seeds: tuple[int, ...]) -> None:
        self.block = _block(spec, arm, seeds)
        self.wanted, self.found, self.seen = kept_steps(self.block), Undisturbed(), -1

    def until(self, records: float) -> Undisturbed:
        """At least so many records, or all of them."""
        block, found = self.block, self.found
        while not block.finished and len(found.series) < records:
            found.series += entries(block.advance())
            wanted = block.step in self.wanted or (self.wanted and block.finished)
            if block.evaluated_at > self.seen and wanted:
                weights = block.weights().items()
                found.weights[block.step] = {name: value.tobytes() for name, value in weights}
            self.seen = max(self.seen, block.evaluated_at)
        return found


trainee = lru_cache(maxsize=64)(Trainee)


@lru_cache(maxsize=64)
def refreshed(spec: str, arm: str, seeds: tuple[int, ...], step: int) -> Undisturbed:
    """A refresh of the weights that such a job has after so many steps."""
    trainee, measured = _block(spec, arm, seeds), _block(spec, arm, seeds)
    while trainee.step < step:
        trainee.advance()
    measured.load_weights(trainee.weights(), step)
    return Undisturbed(entries(measured.measure_rest()))


def entries(records: Sequence[Record | Snapshot]) -> list[Entry]:
    """Records to the last bit."""
    return [
        entry(one.step, one.name, one.values if isinstance(one, Record) else one.array) for one in records
    ]


def entry(step: int, name: str, array: np.ndarray) -> Entry:
    """One record."""
    return step, name, array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes()


def _block(spec: str, arm: str, seeds: tuple[int, ...]) -> Block:
    torch.set_num_threads(1)
    full_precision()
    return Block(ExperimentSpec.from_table(json.loads(spec)), arm, seeds, "cpu")
