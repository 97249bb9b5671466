"""Half the squared error: H_out = I, the Hessian in the outputs."""

import torch


def loss(z, y):
    """½ ‖z - y‖² of each row."""
    return (z - y).square().sum(-1) / 2


def loss_gradient(z, y):
    """∂ℓ/∂z of each row."""
    return z - y


def directions(z):
    """Every output."""
    return torch.eye(z.shape[-1])


def curvature(z, slopes):
    """(sᵀ H_out s)_jj = Σ_c s_cj² of every unit j."""
    return combined(torch.ones_like(z), slopes * slopes)


def random_column(z, step, stream="train"):
    """Random signs w, so that E wwᵀ = H_out = I."""
    return signs(f"{stream}/class-sign/0", z.shape, step)


def quadratic(z, t):
    """tᵀ H_out t of each row."""
    return t.square().sum(-1)


def sampled_label(z, step, stream="train"):
    """Numbers drawn from the model: the outputs plus standard normal noise."""
    return z.detach() + torch.special.ndtri(uniforms(f"{stream}/label/0", z.shape, step)).float()
