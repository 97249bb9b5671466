"""What a Monte Carlo measurement yields."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A Monte Carlo mean and its standard error."""

    mean: float
    standard_error: float


def measured(samples: list[Any]) -> Measured:
    """The mean of independent samples; at least two."""
    values = torch.stack([torch.as_tensor(sample).detach().double() for sample in samples])
    if len(values) < 2:
        raise ValueError("One sample has no standard error: take two or more.")
    return Measured(mean=float(values.mean()), standard_error=float(values.std() / sqrt(len(values))))
