"""Softmax cross-entropy: H_out = diag(p) - ppᵀ, the Hessian in the logits."""

import torch
from torch.nn import functional


def loss(z, y):
    """-log p(y) of each row."""
    return functional.cross_entropy(z, y, reduction="none")


def loss_gradient(z, y):
    """∂ℓ/∂z = p - onehot(y) of each row."""
    return z.softmax(-1) - functional.one_hot(y, z.shape[-1])


def directions(z):
    """Every logit minus the last one (C - 1, C): all that H_out sees."""
    differences = torch.eye(z.shape[-1])[:-1]
    differences[:, -1] = -1
    return differences


def curvature(z, slopes):
    """(sᵀ H_out s)_jj = Σ_c p_c s_cj² - (Σ_c p_c s_cj)²: the variance of unit j's slopes under the softmax."""
    p = z.softmax(-1)[:, : slopes.shape[1]]
    return combined(p, slopes * slopes) - combined(p, slopes).square()


def columns(z):
    """√p_k (e_k - p) for every class k: the columns of F with FFᵀ = H_out."""
    log_p = z.log_softmax(-1)  # √p is exp(½ log p), whose slope stays finite
    p, root = log_p.exp(), (0.5 * log_p).exp()
    return [root[:, k : k + 1] * (unit - p) for k, unit in enumerate(torch.eye(z.shape[-1]))]


def random_column(z, step, stream="train"):
    """w = √p ⊙ u - p (√pᵀu) with random signs u, so that E wwᵀ = H_out."""
    log_p = z.log_softmax(-1)  # √p is exp(½ log p), whose slope stays finite
    signed = (0.5 * log_p).exp() * signs(f"{stream}/class-sign/0", z.shape, step)
    return signed - log_p.exp() * signed.sum(-1, keepdim=True)


def quadratic(z, t):
    """tᵀ H_out t of each row: the variance of t under the softmax."""
    p = z.softmax(-1)
    return (p * (t - (p * t).sum(-1, keepdim=True)).square()).sum(-1)


def sampled_label(z, step, stream="train"):
    """A label for each row, drawn from the softmax."""
    below = z.detach().softmax(-1).double().cumsum(-1) < uniforms(f"{stream}/label/0", (len(z), 1), step)
    return below.sum(-1).clamp(max=z.shape[-1] - 1)
