"""Derivatives in mask space, where an ε may act on many rows (tokens): what the formulas in dropout's place are made of."""

from math import sqrt

import torch
from torch.autograd import grad


def squared_slopes(z, mask, outputs):
    """½ Σ v ‖∂(outputsᵀz)/∂ε‖², mean over rows; ``outputs`` are constants in ∂/∂ε, but not in ∂/∂w."""
    slopes = grad(z, list(mask.values()), outputs * (1 / len(z)) ** 0.5, create_graph=True)
    shares = [variance(site) / 2 * slope.square().sum() for site, slope in zip(mask, slopes, strict=True)]
    return torch.stack(shares).sum()


def exact_regularizer(z, at, mask, passes):
    """½ Σ v tr(Jᵀ H_out J) with all columns of F, FFᵀ = H_out at logits ``at``, mean over rows.

    ``passes`` say which rows (passes, rows) may be differentiated together: no ε acts on two of them.
    """
    squares = [squared_slopes(z, mask, column * rows[:, None]) for rows in passes for column in columns(at)]
    return torch.stack(squares).sum()


def sampled_label_regularizer(z, mask, label):
    """½ Σ v ‖∂ℓ(label)/∂ε‖², mean over rows; the score function makes up for how labels depend on w."""
    squares = squared_slopes(z, mask, loss_gradient(z, label))
    log_p = -loss(z, label)
    return squares + squares.detach() * (log_p - log_p.detach()).sum()


def along_signs(z, y, mask, step):
    """∇ℓᵀJη with random signs η = ±√v, mean over rows: the gradient of this in w is the noise ξ (section 4.2)."""
    slopes = grad(z, list(mask.values()), loss_gradient(z, y) * (1 / len(z)), create_graph=True)
    shares = []
    for site, slope in zip(mask, slopes, strict=True):
        sign = signs(f"train/sign/{site}/0", SITES[site][0], step)
        shares.append(sqrt(variance(site)) * (slope * sign).sum())
    return torch.stack(shares).sum()


def last_site(z, h, weight, site):
    """The share of R that the last site has: ½ v Σ_j h_j² (A H_out Aᵀ)_jj, exact as z = hA + b, mean over rows."""
    slopes = curvature(z, weight.T[None])
    return variance(site) / 2 * (h.flatten(0, -2).square() * slopes).sum(-1).mean()
