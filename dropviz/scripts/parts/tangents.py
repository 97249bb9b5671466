"""Directions in mask space."""

from math import sqrt

import torch
from torch.autograd import grad


def random_direction(step, stream="train"):
    """η = ±√v at every site."""
    return {
        site: sqrt(variance(site)) * signs(f"{stream}/sign/{site}/0", shape, step)
        for site, (shape, _) in SITES.items()
    }


def tangent(z, mask, direction):
    """Jη, how the logits move along a direction in mask space: a backward pass through a backward pass."""
    u = torch.zeros_like(z, requires_grad=True)
    pulled = grad(z, [mask[site] for site in direction], u, create_graph=True)
    return grad(pulled, u, list(direction.values()), create_graph=True)[0]
