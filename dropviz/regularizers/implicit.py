"""The analytic implicit noise: scalars whose gradient in the parameters is ξ_approx = ∇_W [∇ℓᵀJη], η = ±√v (section 4.2)."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

import torch
from torch import Tensor

from dropviz.losses.loss import combined
from dropviz.masks import RandomNumbers, Watch
from dropviz.regularizers.network import Jacobians, Network, slopes


def implicit_term(network: Network, z: Tensor, watch: Watch, draws: RandomNumbers) -> Tensor:
    """∇ℓᵀJη, mean over rows: (S,). Cost: a differentiable backward pass."""
    (term,) = implicit_terms(network, z, watch, [draws])
    return term


def implicit_terms(network: Network, z: Tensor, watch: Watch, draws: Iterable[RandomNumbers]) -> list[Tensor]:
    """The same for several η, which one differentiable backward pass serves."""
    gradient = network.loss.gradient(z, network.y)
    found = slopes(z, watch, network.weighted(gradient))
    terms = []
    for drawn in draws:
        signs = drawn.signs()
        shares = [
            sqrt(network.variances[site]) * network.row_mean(network.share(slope * signs[site]))
            for site, slope in found.items()
        ]
        terms.append(torch.stack(shares).sum(0))
    return terms


def jacobian_noise(network: Network, z: Tensor, jacobians: Jacobians, draws: RandomNumbers) -> Tensor:
    """The same term out of Jacobians that are at hand: (S,).

    Their K directions carry the gradient's first K numbers: with softmax, whose gradient sums to 0, these are all of it.
    """
    gradient = network.loss.gradient(z, network.y)
    signs = draws.signs()
    terms = []
    for site, v in network.variances.items():
        h, slopes = jacobians[site]
        slope = h * combined(gradient[..., : slopes.shape[2]], slopes)  # of the loss, in ε
        terms.append(sqrt(v) * network.mean((slope * signs[site].flatten(2)).sum(-1)))
    return torch.stack(terms).sum(0)
