"""The largest eigenvalue by Lanczos, with its residual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LargestEigenvalue:
    """θ with ‖Hv − θv‖ = residual for the unit vector v, so an eigenvalue lies within ± residual of θ."""

    value: Tensor  # (S,)
    residual: Tensor  # (S,)
    vector: Tensor  # (S, P)


def largest_eigenvalue(
    product: Callable[[Tensor], Tensor], start: Tensor, *, steps: int
) -> LargestEigenvalue:
    """Lanczos from ``start`` (S, P) with full re-orthogonalization; cost: ``steps`` products.

    Started from the eigenvector of a moment ago, a few steps suffice. Exact once ``steps`` reaches P, and where the
    vectors found span an invariant subspace that holds the top eigenvector. A seed whose products are not finite gets
    NaN; the others do not notice.
    """
    basis = [start / start.norm(dim=-1, keepdim=True)]
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    scale = torch.zeros_like(start[:, 0])
    for _ in range(steps):
        image = product(basis[-1])
        alphas.append((image * basis[-1]).sum(-1))
        span = torch.stack(basis, dim=1)  # (S, m, P)
        for _again in range(2):  # once leaves rounding behind; twice is enough (Parlett, "twice is enough")
            image = image - ((span @ image.unsqueeze(-1)).transpose(-1, -2) @ span).squeeze(1)
        beta = image.norm(dim=-1)
        scale = torch.maximum(scale, torch.maximum(alphas[-1].abs(), beta))
        # What is left is rounding: the subspace is invariant, and nothing may be added to it.
        ended = beta <= 8 * torch.finfo(beta.dtype).eps * scale
        betas.append(torch.where(ended, 0, beta))
        basis.append(
            torch.where(ended, 0, 1 / beta).unsqueeze(-1) * torch.where(ended.unsqueeze(-1), 0, image)
        )
    values, vectors = _spectrum(alphas, betas, basis, scale)
    top = vectors[..., -1]
    return LargestEigenvalue(
        value=values[..., -1],
        residual=betas[-1] * top[..., -1].abs(),
        vector=(top.unsqueeze(1) @ torch.stack(basis[:-1], dim=1)).squeeze(1),
    )


def _spectrum(
    alphas: list[Tensor], betas: list[Tensor], basis: list[Tensor], scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of the tridiagonal matrix, NaN for a seed whose entries are not finite."""
    there = torch.stack([vector.square().sum(-1) > 0.5 for vector in basis[:-1]], dim=-1)
    below = (
        -4 * scale.unsqueeze(-1) - 1
    )  # where the subspace had ended: below its eigenvalues, so never the top
    diagonal = torch.where(there, torch.stack(alphas, dim=-1), below)
    off = torch.stack(betas, dim=-1)[..., :-1]
    tridiagonal = torch.diag_embed(diagonal) + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    finite = tridiagonal.isfinite().all(-1).all(-1)
    values, vectors = torch.linalg.eigh(torch.where(finite[:, None, None], tridiagonal, 0))
    nan = torch.nan
    return torch.where(finite[:, None], values, nan), torch.where(finite[:, None, None], vectors, nan)
