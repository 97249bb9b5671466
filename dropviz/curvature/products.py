"""Matrix-vector products with the Hessian: reverse mode over reverse mode, one graph for many products."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import grad


class HessianProduct:
    """v ↦ Hv for the Hessian of ``loss`` (a sum over seeds) in stacked ``parameters`` (S, …).

    Building it costs one gradient with its graph; each product one more backward pass, about 2 gradient
    evaluations in all (Pearlmutter 1994).
    """

    def __init__(self, loss: Tensor, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self.gradient = grad(loss, self.parameters, create_graph=True)
        self.sizes = [parameter[0].numel() for parameter in self.parameters]

    @property
    def shape(self) -> tuple[int, int]:
        """(S, P)."""
        return len(self.parameters[0]), sum(self.sizes)

    def __call__(self, vector: Tensor) -> Tensor:
        """Hv for each seed: (S, P) → (S, P)."""
        parts = [
            part.reshape(parameter.shape)
            for part, parameter in zip(vector.split(self.sizes, dim=1), self.parameters, strict=True)
        ]
        return flat(grad(self.gradient, self.parameters, parts, retain_graph=True))


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """Stacked tensors (S, …) laid end to end: (S, P)."""
    return torch.cat([tensor.flatten(1) for tensor in tensors], dim=1)
