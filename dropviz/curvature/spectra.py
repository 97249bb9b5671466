"""Eigenvalues and spectral density of the curvature of anybody's module, by the same Lanczos steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import torch
from torch import Tensor, nn

from dropviz.curvature.lanczos import lanczos
from dropviz.curvature.module_loss import Matrix, ModuleLoss
from dropviz.estimate import at_least
from dropviz.losses import IGNORED
from dropviz.sites import Forward


@dataclass(frozen=True, kw_only=True)
class Eigenpairs:
    """The k largest eigenvalues, as far as they were found.

    Attributes:
        values: θ, descending: (k,).
        residuals: ‖Mv − θv‖ of each, so that an eigenvalue lies within ± residual of θ, up to rounding: (k,).
        vectors: The unit vectors v, by parameter name: k dictionaries.
    """

    values: Tensor
    residuals: Tensor
    vectors: list[dict[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class SpectralDensity:
    """Where the eigenvalues lie, as weighted points: for a smooth f, tr f(M) / P is about the mean of Σ weight · f(node).

    Attributes:
        nodes: Ascending for each probe: (probes, steps).
        weights: Summing to 1 for each probe: (probes, steps). 0 where a probe had fewer nodes.
    """

    nodes: Tensor
    weights: Tensor

    def density(self, grid: Tensor, *, width: float | None = None) -> Tensor:
        """The mean density over the probes at the points of a grid (G,), each node spread to a normal density: (G,).

        Args:
            grid: Where to evaluate.
            width: Standard deviation of a spread node; by default a fiftieth of the range of the nodes, or 1 where
                that is 0.

        Raises:
            ValueError: A width that is not above 0.
        """
        if width is None:
            width = float(self.nodes.max() - self.nodes.min()) / 50 or 1.0
        if not width > 0:
            raise ValueError(f"width = {width!r} is not possible: it has to be above 0.")
        distances = (grid.to(self.nodes).unsqueeze(-1) - self.nodes.flatten()) / width
        bells = (-distances.square() / 2).exp() / (sqrt(2 * pi) * width)
        return bells @ self.weights.flatten() / len(self.nodes)


def top_eigenvalues(
    model: nn.Module,
    x: Any,
    y: Tensor | None,
    *,
    k: int = 1,
    steps: int = 32,
    matrix: Matrix = "hessian",
    loss: Any = "cross_entropy",
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> Eigenpairs:
    """The k largest eigenvalues by Lanczos with full re-orthogonalization, with residuals and vectors.

    An eigenvalue of several dimensions shows once, until the steps have exhausted what one start reaches; then they go on
    from another. With ``steps`` at P or above, all eigenvalues are exact.

    Args:
        model, x, loss, weight, ignore_index, forward: See ``hessian_vector_product``.
        y: See there; the Gauss-Newton matrix needs none and takes None.
        k: How many, from 1 to P.
        steps: Products, at least k; more make the residuals smaller.
        matrix: ``hessian``, or ``ggn`` for JᵀH_outJ.
        generator: For the start; without one it differs from call to call.

    Cost: ``steps`` products, of about 2 gradients each, and re-orthogonalization against as many vectors of P numbers.

    Raises:
        ValueError: k, steps or matrix that are not possible; or see ``hessian_vector_product``.
    """
    at_least("k", k, 1)
    at_least("steps", steps, k)
    asked = ModuleLoss(
        model,
        x,
        y,
        loss=loss,
        weight=weight,
        ignore_index=ignore_index,
        forward=forward,
        generator=generator,
    )
    if k > asked.count:
        raise ValueError(f"k = {k} is more than the {asked.count} parameters: take at most as many.")
    values, residuals, vectors = _eigenpairs(asked, asked.product(matrix), min(steps, asked.count))
    order = values.argsort(descending=True)[:k]
    return Eigenpairs(
        values=values[order],
        residuals=residuals[order],
        vectors=[asked.by_name(vectors[index][None]) for index in order.tolist()],
    )


def spectral_density(
    model: nn.Module,
    x: Any,
    y: Tensor | None,
    *,
    steps: int = 32,
    probes: int = 4,
    matrix: Matrix = "hessian",
    loss: Any = "cross_entropy",
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> SpectralDensity:
    """Stochastic Lanczos quadrature: from each random start, nodes and weights that integrate over the spectrum.

    Exact for the moments up to 2·steps − 1 of the start's own spectral measure, whose mean over starts is the density
    (Golub & Welsch 1969; Ubaru, Chen & Saad 2017; Ghorbani, Krishnan & Xiao 2019).

    Args:
        model, x, y, matrix, loss, weight, ignore_index, forward, generator: See ``top_eigenvalues``.
        steps: Lanczos steps a probe; at most P are taken.
        probes: Random starts.

    Cost: steps × probes products, of about 2 gradients each, and ``steps`` vectors of P numbers.

    Raises:
        ValueError: See ``top_eigenvalues``.
    """
    at_least("steps", steps, 1)
    at_least("probes", probes, 1)
    asked = ModuleLoss(
        model,
        x,
        y,
        loss=loss,
        weight=weight,
        ignore_index=ignore_index,
        forward=forward,
        generator=generator,
    )
    product, most = asked.product(matrix), min(steps, asked.count)
    nodes, weights = torch.zeros(2, probes, most, dtype=asked.dtype, device=asked.z.device)
    for probe in range(probes):
        found = lanczos(product, asked.signs(), steps=most)
        kept = int(found.sizes)
        # Where the Krylov space ended early, its lowest node stands for those that are missing, with weight 0.
        nodes[probe] = found.values[0, -kept]
        nodes[probe, -kept:] = found.values[0, -kept:]
        weights[probe, -kept:] = found.weights[0, -kept:]
    return SpectralDensity(nodes=nodes, weights=weights)


def _eigenpairs(
    asked: ModuleLoss, product: Callable[[Tensor], Tensor], steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Values (n,), residuals (n,) and vectors (n, P) of so many steps, started anew wherever a subspace is exhausted."""
    values = residuals = torch.zeros(0, dtype=asked.dtype, device=asked.z.device)
    found = torch.zeros(0, asked.count, dtype=asked.dtype, device=asked.z.device)

    def outside(vector: Tensor) -> Tensor:
        for _again in range(2):
            vector = vector - (vector @ found.T) @ found
        return vector

    while len(found) < steps:
        ritz = lanczos(
            lambda vector: outside(product(vector)),
            outside(asked.normals(1)[0]),
            steps=steps - len(found),
            scale=values.abs().amax(0, keepdim=True) if len(values) else None,
        )
        kept = int(ritz.sizes)
        values = torch.cat([values, ritz.values[0, -kept:]])
        residuals = torch.cat([residuals, ritz.residuals[0, -kept:]])
        found = torch.cat([found, ritz.vectors(kept)[0]])
    return values, residuals, found
