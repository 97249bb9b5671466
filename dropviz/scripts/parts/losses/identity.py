"""The ablation of H_out: I / C stands in its place, with C outputs."""

from math import log

import torch


def root_of_identity(z):
    """1 / √C for every output."""
    return (0.5 * torch.tensor(-log(z.shape[-1]))).exp().expand_as(z)


def directions(z):
    """Every output."""
    return torch.eye(z.shape[-1])


def curvature(z, slopes):
    """(sᵀs)_jj / C of every unit j."""
    return combined(root_of_identity(z).square(), slopes * slopes)


def columns(z):
    """e_k / √C for every output: the columns of F with FFᵀ = I / C."""
    return [unit * root_of_identity(z) for unit in torch.eye(z.shape[-1])]


def random_column(z, step, stream="train"):
    """Random signs over √C, so that E wwᵀ = I / C."""
    return root_of_identity(z) * signs(f"{stream}/class-sign/0", z.shape, step)


def quadratic(z, t):
    """tᵀt / C of each row."""
    return (root_of_identity(z) * t).square().sum(-1)
