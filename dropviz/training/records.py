"""What training hands out: numbers, pictures and texts at a step, and the error that ends it early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Record:
    """A metric at a step: ``values`` holds a number a seed, float64."""

    step: int
    name: str
    values: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A picture or a text at a step, uint8.

    ``surface`` is P(class 1) × 255 over the plane, rows from bottom to top; ``sample`` generated text in UTF-8, and
    ``prompt`` the given text that it begins with.
    """

    step: int
    name: str
    array: np.ndarray


class Diverged(RuntimeError):
    """The loss is no longer a finite number; ``records`` are the points of the stretch before that."""

    def __init__(self, step: int, seeds: Sequence[int], learning_rate: float) -> None:
        self.step = step
        self.records: list[Record | Snapshot] = []
        names = ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(str(seed) for seed in seeds)
        super().__init__(
            f"The loss of {names} was not finite at step {step}: lower the learning rate"
            f" ({learning_rate:g}), λ or μ, or the drop probability."
        )


def record(step: int, name: str, values: Tensor) -> Record:
    """A metric from a tensor (S,)."""
    return Record(step=step, name=name, values=values.detach().cpu().numpy().astype(np.float64))
