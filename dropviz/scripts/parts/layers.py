"""Layers for one network, of which several masks at once may make several: (…, n, units)."""

import torch


def affine(h, weight, bias):
    """hW + b, as a batch of one: a run computes its seeds as a batch, and this rounds as that does."""
    rows = torch.baddbmm(bias, h.flatten(0, -2)[None], weight[None])
    return rows.view(*h.shape[:-1], -1)


def times(h, weight):
    """hW, as a batch of one."""
    return (h.flatten(0, -2)[None] @ weight[None])[0].view(*h.shape[:-1], -1)


def layer_norm(h, gain, shift):
    """Mean 0 and variance 1 over the units (Ba et al. 2016). torch's own is wrong in its third derivative."""
    h = h - h.mean(-1, keepdim=True)
    return h * (h.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * gain + shift
