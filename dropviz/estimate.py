"""What a Monte Carlo measurement yields: a mean with its standard error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A Monte Carlo mean and its standard error."""

    mean: float
    standard_error: float


def at_least(name: str, value: int, least: int) -> None:
    """Refuse a number of draws that nothing can be computed from.

    Raises:
        ValueError: It is no whole number, or too small.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        why = ", for one sample has no standard error" if least == 2 else ""
        raise ValueError(f"{name} = {value!r} is not possible: take a whole number from {least} on{why}.")


def estimate(samples: Iterable[Any]) -> Estimate:
    """The mean of independent samples; at least two."""
    values = torch.stack([torch.as_tensor(sample).detach().double().squeeze() for sample in samples])
    return Estimate(mean=float(values.mean()), standard_error=float(values.std() / sqrt(len(values))))
