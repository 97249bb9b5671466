"""The trace of a matrix that is known by its products."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor


def hutchinson_trace(product: Callable[[Tensor], Tensor], probes: Tensor) -> tuple[Tensor, Tensor]:
    """E uᵀHu over signs u: mean and standard error over the probes, each (S,).

    Args:
        product: (S, P) → (S, P).
        probes: ±1, (M, S, P) with M of 2 or more. Cost: M products (Hutchinson 1990).
    """
    samples = torch.stack([(probe * product(probe)).sum(-1) for probe in probes])
    return samples.mean(0), samples.std(0) / sqrt(len(samples))
