"""Derivatives in mask space, where every ε acts on one row: what the formulas in dropout's place are made of."""

from math import sqrt

import torch
from torch.autograd import grad


def squared_slopes(z, mask, outputs):
    """½ Σ v ‖∂(outputsᵀz)/∂ε‖², mean over rows; ``outputs`` are constants in ∂/∂ε, but not in ∂/∂w."""
    slopes = grad(z, list(mask.values()), outputs, create_graph=True)
    shares = [
        (variance(site) / 2 * slope.square().flatten(1).sum(-1)).mean()
        for site, slope in zip(mask, slopes, strict=True)
    ]
    return torch.stack(shares).sum()


def sampled_label_regularizer(z, mask, label):
    """½ Σ v ‖∂ℓ(label)/∂ε‖², mean over rows; the score function makes up for how the label depends on w."""
    slopes = grad(z, list(mask.values()), loss_gradient(z, label), create_graph=True)
    log_p = -loss(z, label)
    score, shares = log_p - log_p.detach(), []
    for site, slope in zip(mask, slopes, strict=True):
        rows = variance(site) / 2 * slope.square().flatten(1).sum(-1)
        shares.append((rows + rows.detach() * score).mean())
    return torch.stack(shares).sum()


def along_signs(z, y, mask, step):
    """∇ℓᵀJη with random signs η = ±√v, mean over rows: the gradient of this in w is the noise ξ (section 4.2)."""
    slopes = grad(z, list(mask.values()), loss_gradient(z, y), create_graph=True)
    shares = []
    for site, slope in zip(mask, slopes, strict=True):
        sign = signs(f"train/sign/{site}/0", SITES[site][0], step)
        shares.append(sqrt(variance(site)) * (slope * sign).flatten(1).sum(-1).mean())
    return torch.stack(shares).sum()


def forward_regularizer(z, at, mask, direction):
    """½ tᵀ H_out t with the tangent t = Jη of every site alone, mean over rows; H_out is that at logits ``at``."""
    tangents = [tangent(z, mask, {site: along}) for site, along in direction.items()]
    return torch.stack([quadratic(at, t).mean() / 2 for t in tangents]).sum()


def last_site(z, h, weight, site):
    """The share of R that the last site has: ½ v Σ_j h_j² (A H_out Aᵀ)_jj, exact as z = hA + b, mean over rows."""
    return variance(site) / 2 * (h.square() * curvature(z, weight.T[None])).sum(-1).mean()
