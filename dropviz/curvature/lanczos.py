"""Lanczos with full re-orthogonalization: eigenvalues with residuals, and quadrature of the spectrum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Ritz:
    """What m steps know of a symmetric matrix: its eigenvalues within the space of the vectors found, ascending.

    A seed whose vectors span an invariant subspace of n < m dimensions has n values, its last ones; what stands before
    them is a filler below all of them, of weight and residual 0. A seed whose products are not finite has NaN.
    """

    values: Tensor  # (S, m)
    residuals: Tensor  # (S, m): an eigenvalue lies within ± residual of each value
    coefficients: (
        Tensor  # (S, m, m): of the unit vectors that belong to the values in the basis, a column each
    )
    basis: Tensor  # (S, m, P)
    sizes: Tensor  # (S,): n

    @property
    def weights(self) -> Tensor:
        """Of the values in uᵀf(H)u for the unit vector u that was started from, summing to 1: (S, m)."""
        return self.coefficients[:, 0].square()

    def vectors(self, count: int) -> Tensor:
        """Those of the last ``count`` values, ascending: (S, count, P)."""
        return self.coefficients[..., -count:].transpose(-1, -2) @ self.basis


@dataclass(frozen=True, kw_only=True)
class LargestEigenvalue:
    """θ with ‖Hv − θv‖ = residual for the unit vector v, so an eigenvalue lies within ± residual of θ."""

    value: Tensor  # (S,)
    residual: Tensor  # (S,)
    vector: Tensor  # (S, P)


def lanczos(
    product: Callable[[Tensor], Tensor], start: Tensor, *, steps: int, scale: Tensor | None = None
) -> Ritz:
    """The Krylov space of ``start``, as far as so many steps go.

    Exact once ``steps`` reaches P; an eigenvalue of several dimensions is found once. A seed whose products are not
    finite gets NaN; the others do not notice.

    Args:
        product: v ↦ Hv: (S, P) → (S, P).
        start: (S, P), of any length.
        steps: Products, fewer once every seed's subspace is invariant.
        scale: How large the matrix is known to be, if not by these steps (S,): rounding is judged by it.
    """
    basis = start.new_zeros(len(start), steps, start.shape[1])
    basis[:, 0] = start / start.norm(dim=-1, keepdim=True)
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    scale = torch.zeros_like(start[:, 0]) if scale is None else scale
    for step in range(steps):
        image = product(basis[:, step])
        alphas.append((image * basis[:, step]).sum(-1))
        span = basis[:, : step + 1]
        for _again in range(2):  # once leaves rounding behind; twice is enough (Parlett, "twice is enough")
            image = off_space(image, span)
        beta = image.norm(dim=-1)
        scale = torch.maximum(scale, torch.maximum(alphas[-1].abs(), beta))
        # What is left is rounding: the subspace is invariant, and nothing may be added to it.
        ended = beta <= 8 * torch.finfo(beta.dtype).eps * scale
        betas.append(torch.where(ended, 0, beta))
        if step + 1 == steps or bool(ended.all()):
            break
        basis[:, step + 1] = torch.where(ended, 0, 1 / beta).unsqueeze(-1) * torch.where(
            ended.unsqueeze(-1), 0, image
        )
    return _ritz(alphas, betas, basis[:, : len(alphas)], scale)


def off_space(vectors: Tensor, basis: Tensor) -> Tensor:
    """The part of each vector (S, P) that is orthogonal to its orthonormal basis (S, m, P); once, so up to rounding.

    Seed by seed: as one batched product the same takes four times as long on a CPU, for vectors are tall and thin.
    """
    pairs = zip(vectors, basis, strict=True)
    return torch.stack([vector - rows.T.mv(rows.mv(vector)) for vector, rows in pairs])


def largest_eigenvalue(
    product: Callable[[Tensor], Tensor], start: Tensor, *, steps: int
) -> LargestEigenvalue:
    """The largest of ``lanczos``; cost: ``steps`` products. Started from the eigenvector of a moment ago, a few steps suffice."""
    found = lanczos(product, start, steps=steps)
    return LargestEigenvalue(
        value=found.values[..., -1],
        residual=found.residuals[..., -1],
        vector=found.vectors(1).squeeze(1),
    )


def _ritz(alphas: list[Tensor], betas: list[Tensor], basis: Tensor, scale: Tensor) -> Ritz:
    """Of the tridiagonal matrix, NaN for a seed whose entries are not finite."""
    there = basis.square().sum(-1) > 0.5
    below = (
        -4 * scale.unsqueeze(-1) - 1
    )  # where the subspace had ended: below its eigenvalues, so never the top
    diagonal = torch.where(there, torch.stack(alphas, dim=-1), below)
    off = torch.stack(betas, dim=-1)[..., :-1]
    tridiagonal = torch.diag_embed(diagonal) + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    finite = tridiagonal.isfinite().all(-1).all(-1)
    values, vectors = torch.linalg.eigh(torch.where(finite[:, None, None], tridiagonal, 0))
    values = torch.where(finite[:, None], values, torch.nan)
    vectors = torch.where(finite[:, None, None], vectors, torch.nan)
    return Ritz(
        values=values,
        residuals=betas[-1].unsqueeze(-1) * vectors[..., -1, :].abs(),
        coefficients=vectors,
        basis=basis,
        sizes=there.sum(-1),
    )
