"""Curvature of the loss at ε = 0 on the probe: traces of the Hessian and of the Gauss-Newton matrix, in all and by layer,
the largest eigenvalue, and the norm of the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropviz.statistics.samples import by_layer, squares, with_error
from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

PROBES = 2  # sign vectors for the trace
LANCZOS_STEPS = 4  # from the eigenvector of the moment before
FIRST_LANCZOS_STEPS = 8  # from a random vector


def measure(moment: Moment) -> dict[str, Tensor]:
    """Traces ± standard error, largest eigenvalue ± residual, gradient norm.

    Cost: a gradient with its graph, ``PROBES + LANCZOS_STEPS`` Hessian products, and the draws of ``Probe.roots``.
    """
    import torch

    probe, layers = moment.probe, moment.layers
    gradient = by_layer(squares(probe.product.gradient), layers)
    forms = [_forms(moment, index) for index in range(PROBES)]
    roots = [squares(root.parameters) for root in probe.roots]
    found = {"curvature/gradient_norm": torch.stack(list(gradient.values())).sum(0).sqrt()}
    found |= _traces("hessian_trace", forms, layers) | _traces("ggn_trace", roots, layers) | _largest(moment)
    return found | {f"layers/{layer}/gradient_norm": square.sqrt() for layer, square in gradient.items()}


def _forms(moment: Moment, index: int) -> list[Tensor]:
    """uᵀHu for random signs u, cut into the parts of each parameter's own block: (S,) each (Hutchinson 1990)."""
    product = moment.probe.product
    signs = moment.probe.signs(f"trace/{index}")
    terms = (signs * product(signs)).split(product.space.sizes, dim=1)
    return [term.sum(-1) for term in terms]


def _traces(name: str, samples: Sequence[Sequence[Tensor]], layers: Sequence[str]) -> dict[str, Tensor]:
    """Of the whole matrix and of each layer's block, from samples of each parameter's block."""
    import torch

    summed = [by_layer(sample, layers) for sample in samples]
    found = with_error(f"curvature/{name}", [torch.stack(list(one.values())).sum(0) for one in summed])
    for layer in summed[0]:
        found |= with_error(f"layers/{layer}/{name}", [one[layer] for one in summed])
    return found


def _largest(moment: Moment) -> dict[str, Tensor]:
    """By a few Lanczos steps from the vector that was found at the moment before."""
    from dropviz.curvature import largest_eigenvalue

    product, former = moment.probe.product, moment.memory.get("top_eigenvector")
    if former is None:
        start, steps = moment.probe.signs("largest"), FIRST_LANCZOS_STEPS
    else:
        start, steps = _usable(former), LANCZOS_STEPS
    top = largest_eigenvalue(product, start, steps=min(product.shape[1], steps))
    moment.memory["top_eigenvector"] = top.vector
    return {"curvature/top_eigenvalue": top.value, "curvature/top_eigenvalue_residual": top.residual}


def _usable(vectors: Tensor) -> Tensor:
    """The vectors, and for a seed where it is zero or not finite one of ones."""
    import torch

    norms = vectors.norm(dim=-1, keepdim=True)
    return torch.where(norms.isfinite() & (norms > 0), vectors, torch.ones_like(vectors))


statistic = Statistic(name="curvature", groups=("curvature", "layers"), measure=measure)
