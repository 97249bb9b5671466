"""Matrix-vector products without a matrix: the Hessian and the Gauss-Newton matrix, by reverse mode alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.regularizers import Tangent


class ParameterSpace:
    """Vectors (S, P), as the parameters have them: one row a seed, its parameters laid end to end.

    Args:
        parameters: Stacked, (S, …) each; or a module's own, of any shape, with ``seeds=1``.
        seeds: S; by default the length of the parameters' first axis.
    """

    def __init__(self, parameters: Sequence[Tensor], *, seeds: int | None = None) -> None:
        self.parameters = list(parameters)
        self.seeds = len(self.parameters[0]) if seeds is None else seeds
        self.sizes = [parameter.numel() // self.seeds for parameter in self.parameters]

    @property
    def shape(self) -> tuple[int, int]:
        """(S, P)."""
        return self.seeds, sum(self.sizes)

    def parts(self, vector: Tensor) -> list[Tensor]:
        """A vector cut into the shapes and precisions of the parameters."""
        return [
            part.reshape(parameter.shape).to(parameter.dtype)
            for part, parameter in zip(vector.split(self.sizes, dim=1), self.parameters, strict=True)
        ]

    def slope(self, outputs: Sequence[Tensor], along: Sequence[Tensor]) -> Tensor:
        """Σ ∂(alongᵀ outputs)/∂ parameters, 0 where nothing depends on one: (S, P). Cost: a backward pass."""
        used = [(one, way) for one, way in zip(outputs, along, strict=True) if one.requires_grad]
        if not used:
            return flat([torch.zeros_like(parameter) for parameter in self.parameters], self.seeds)
        ones, ways = zip(*used, strict=True)
        found = grad(
            ones, self.parameters, ways, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return flat(found, self.seeds)


class HessianProduct:
    """v ↦ Hv for the Hessian of ``loss`` (a sum over seeds) in ``parameters``, see ``ParameterSpace``.

    Building it costs one gradient with its graph; each product one more backward pass, about 2 gradient
    evaluations in all (Pearlmutter 1994).
    """

    def __init__(self, loss: Tensor, parameters: Sequence[Tensor], *, seeds: int | None = None) -> None:
        self.space = ParameterSpace(parameters, seeds=seeds)
        self.gradient = grad(
            loss, self.space.parameters, create_graph=True, allow_unused=True, materialize_grads=True
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(S, P)."""
        return self.space.shape

    def __call__(self, vector: Tensor) -> Tensor:
        """Hv for each seed: (S, P) → (S, P)."""
        return self.space.slope(self.gradient, self.space.parts(vector))


class GaussNewtonProduct:
    """v ↦ JᵀH_outJv, the Hessian without the curvature of the network (Schraudolph 2002).

    Args:
        z: Differentiable logits (S, N, C), whose Jacobian in the parameters is J.
        parameters, seeds: See ``ParameterSpace``.
        output_product: t ↦ H_out t with the rows' weights in the mean: (S, N, C) → (S, N, C).

    Building it costs one differentiable backward pass; each product two backward passes, the first for Jv.
    """

    def __init__(
        self,
        z: Tensor,
        parameters: Sequence[Tensor],
        output_product: Callable[[Tensor], Tensor],
        *,
        seeds: int | None = None,
    ) -> None:
        self.space = ParameterSpace(parameters, seeds=seeds)
        self.z, self.output_product = z, output_product
        self.tangent = Tangent(z, self.space.parameters)

    def __call__(self, vector: Tensor) -> Tensor:
        """JᵀH_outJv for each seed: (S, P) → (S, P)."""
        moved = self.tangent(self.space.parts(vector))
        return self.space.slope([self.z], [self.output_product(moved)])


def flat(tensors: Sequence[Tensor], seeds: int | None = None) -> Tensor:
    """Tensors (S, …), or with ``seeds=1`` of any shape, laid end to end: (S, P)."""
    rows = len(tensors[0]) if seeds is None else seeds
    return torch.cat([tensor.reshape(rows, -1) for tensor in tensors], dim=1)
