"""R out of the whole Jacobian: every direction in the space of the logits."""

from math import sqrt

import torch
from torch.autograd import grad


def with_slopes(w, x, *past):
    """Logits, and by site 1 and the slopes of their ``directions`` in ε (n, K, units), by batched backward passes."""
    mask = ones()
    z = network(w, x, mask, *past)
    outputs = directions(z)[:, None].expand(-1, *z.shape)
    slopes = grad(z, list(mask.values()), outputs, create_graph=True, is_grads_batched=True)
    parts = zip(mask, slopes, strict=True)
    return z, {site: (torch.ones(1, 1), slope.movedim(0, 1).flatten(2)) for site, slope in parts}


def regularizer(z, slopes):
    """½ Σ v tr(Jᵀ H_out J), mean over rows, with J_kj = h_j s_kj."""
    shares = [
        variance(site) / 2 * (h.square() * curvature(z, s)).sum(-1).mean() for site, (h, s) in slopes.items()
    ]
    return torch.stack(shares).sum()


def noise_of_slopes(z, y, slopes, step):
    """∇ℓᵀJη with random signs η = ±√v, mean over rows: the gradient of this in w is the noise ξ (section 4.2)."""
    gradient, shares = loss_gradient(z, y), []
    for site, (h, s) in slopes.items():
        slope = h * combined(gradient[:, : s.shape[1]], s)
        sign = signs(f"train/sign/{site}/0", SITES[site][0], step).flatten(1)
        shares.append(sqrt(variance(site)) * (slope * sign).sum(-1).mean())
    return torch.stack(shares).sum()


def combined(weights, slopes):
    """Σ_k weights_k slopes_k of each row: (n, K) and (n, K, units), or (1, K, units), the same for all rows."""
    return (weights[None] @ slopes)[0] if len(slopes) == 1 else (weights[:, None] @ slopes)[:, 0]
