"""The trace of a matrix that is known by its products."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sqrt

import torch
from torch import Tensor


def hutchinson_trace(product: Callable[[Tensor], Tensor], probes: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """E uᵀHu over signs u: mean and standard error over the probes, each (S,).

    Args:
        product: (S, P) → (S, P).
        probes: ±1, (S, P) each, 2 or more. Cost: a product a probe (Hutchinson 1990).
    """
    samples = torch.stack([(probe * product(probe)).sum(-1) for probe in probes])
    return samples.mean(0), samples.std(0) / sqrt(len(samples))


def xtrace(product: Callable[[Tensor], Tensor], probes: Tensor) -> tuple[Tensor, Tensor]:
    """XTrace of a symmetric matrix: mean and standard error, each (S,) (Epperly, Tropp & Webber 2024, section 2.1).

    With Q_i an orthonormal basis of the images Hω_j of all probes but the i-th, the i-th estimate is
    tr(Q_iᵀHQ_i) + ν_iᵀHν_i: exact on that space, one probe ν_i for the rest, which is ω_i projected off the space and
    rescaled to the root of the rest's dimension. All of them need no more than the images of the probes and of Q.

    Args:
        product: (S, P) → (S, P).
        probes: Normal, (m, S, P) with m from 2 to P. Cost: 2m products, and O(m²P) beside.

    Returns:
        The mean over i, which is unbiased, and the spread of the i over √m. The estimates share most of their space, so
        that spread is a guide to the error's size.
    """
    count = probes.shape[-1]
    omega = probes.permute(1, 2, 0)
    omega = omega * (sqrt(count) / omega.norm(dim=1, keepdim=True))
    q, r = torch.linalg.qr(_images(product, omega))
    w, h = (q.transpose(-1, -2) @ other for other in (omega, _images(product, q)))
    w, h, r = w.double(), h.double(), r.double()
    missing = torch.stack([_complement(r, leave) for leave in range(r.shape[-1])], dim=-1)  # (S, m, m)
    overlap = (missing * w).sum(-2)
    inside = w - missing * overlap.unsqueeze(-2)  # of ω_i in Q_i, as coordinates in Q
    off_space = (w * r).sum(-2) - 2 * (inside * r).sum(-2) + (inside * (h @ inside)).sum(-2)
    left = count - inside.square().sum(-2)  # the squared length of ω_i off the space
    scale = torch.where(left > 1e-9 * count, (count - r.shape[-1] + 1) / left, 0)
    on_space = h.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - (missing * (h @ missing)).sum(-2)
    estimates = on_space + scale * off_space
    return estimates.mean(-1), estimates.std(-1) / sqrt(r.shape[-1])


def _images(product: Callable[[Tensor], Tensor], vectors: Tensor) -> Tensor:
    """Products with the columns: (S, P, m) → (S, P, m)."""
    return torch.stack([product(vector) for vector in vectors.unbind(-1)], dim=-1)


def _complement(r: Tensor, leave: int) -> Tensor:
    """The unit vector orthogonal to all columns of r (S, m, m) but one: (S, m). Also where r is singular."""
    others = torch.cat([r[..., :leave], r[..., leave + 1 :]], dim=-1)
    return torch.linalg.qr(others, mode="complete")[0][..., -1]
