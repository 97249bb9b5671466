"""Means of a few independent samples with their standard errors, named as metrics are."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def with_error(name: str, samples: Sequence[Tensor]) -> dict[str, Tensor]:
    """``name`` and ``name_se`` of samples (S,) each."""
    import torch

    stacked = torch.stack(list(samples)).detach()
    return {name: stacked.mean(0), f"{name}_se": stacked.std(0) / sqrt(len(stacked))}


def squares(tensors: Sequence[Tensor]) -> list[Tensor]:
    """‖·‖² of each tensor (S, …): (S,) each."""
    return [tensor.detach().flatten(1).square().sum(-1) for tensor in tensors]


def by_layer(values: Sequence[Tensor], layers: Sequence[str]) -> dict[str, Tensor]:
    """Sums over the parameters of each layer, in the order in which the layers first appear."""
    found: dict[str, Tensor] = {}
    for value, layer in zip(values, layers, strict=True):
        found[layer] = found[layer] + value if layer in found else value
    return found
