"""What the training step of each arm differentiates: loss terms of one minibatch, a value a seed (S,)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal, Protocol

import torch
from torch import Tensor

from dropviz.losses import Loss
from dropviz.masks import RandomNumbers, Watch
from dropviz.regularizers.explicit import (
    Shares,
    ablated_shares,
    exact_shares,
    explicit_shares,
    known_hessian,
    masked_loss,
    masked_losses,
    site_jacobians,
)
from dropviz.regularizers.implicit import implicit_term, jacobian_noise
from dropviz.regularizers.network import LossTerms, Network, tangent


class Surrogate(Protocol):
    """The choices of the analytic arms; ``experiment.SurrogateChoices`` is one, ``Choices`` another."""

    @property
    def estimator(self) -> str:
        """``auto``, ``exact``, ``root_hessian``, ``forward`` or ``sampled_label``."""
        ...

    @property
    def hessian(self) -> str:
        """``differentiated`` or ``constant``."""
        ...

    @property
    def samples(self) -> int:
        """Independent draws of the estimator that are averaged."""
        ...

    @property
    def shared_tangent(self) -> bool:
        """Take both terms from one ż = Jη."""
        ...

    @property
    def l2(self) -> float:
        """Strength of the penalty on the sum of squares."""
        ...

    @property
    def explicit(self) -> float:
        """λ."""
        ...

    @property
    def implicit(self) -> float:
        """μ."""
        ...


@dataclass(frozen=True, kw_only=True)
class Choices:
    """A ``Surrogate`` without further ado."""

    estimator: str = "auto"
    hessian: str = "differentiated"
    samples: int = 1
    shared_tangent: bool = False
    explicit: float = 1.0
    implicit: float = 1.0
    l2: float = 0.0


def plain_loss(network: Network) -> LossTerms:
    """ℓ_B(0). Cost: one forward pass."""
    return LossTerms(data=network.plain())


def dropout_loss(
    network: Network,
    draws: RandomNumbers,
    *,
    k: int = 1,
    mask_noise: bool = False,
    analytic_noise: bool = False,
) -> LossTerms:
    """(1/k) Σ ℓ_B(ε_i), and √(1 − 1/k) times a noise with the covariance of one mask.

    k masks keep the explicit effect and 1/k of the covariance of the gradient noise; the noise gives back the rest
    (section 3.2): ``mask_noise`` exactly, as (ℓ_B(ε′) − ℓ_B(ε″)) / √2 with two further masks, ``analytic_noise`` by
    formula, as ∇ℓᵀJη. Cost: a forward pass over k (+ 2) replicas, or one more and a differentiable backward pass.
    """
    if k == 1:
        return LossTerms(data=masked_loss(network, draws.masks(1)))
    replicas = k + 2 * mask_noise
    losses = masked_losses(network, draws.masks(replicas), replicas)
    missing, noise = sqrt(1 - 1 / k), None
    if mask_noise:
        noise = missing / sqrt(2) * (losses[:, k] - losses[:, k + 1])
    elif analytic_noise:
        watch = network.watch()
        noise = missing * implicit_term(network, network.forward(watch), watch, draws)
    return LossTerms(data=losses[:, :k].mean(1), implicit=noise)


def gaussian_loss(network: Network, draws: RandomNumbers) -> LossTerms:
    """ℓ_B(ε) with normal ε of dropout's variance: to second order the same explicit effect. Cost: one forward pass."""
    return LossTerms(data=masked_loss(network, draws.gaussian_masks(1)))


def linearized_loss(network: Network, draws: RandomNumbers) -> LossTerms:
    """ℓ_B(z(0) + Jε) with a dropout mask: dropout on the network linearized in mask space.

    Its expansion to second order is ℓ + ∇ℓᵀJε + ½ (Jε)ᵀH_out(Jε): the implicit and the explicit effect of one mask.
    Cost: two differentiable backward passes.
    """
    watch = network.watch()
    z = network.forward(watch)
    masks = draws.masks(1)
    moved = tangent(z, watch, {site: masks[site][:, 0] - 1 for site in network.variances})
    return LossTerms(data=network.mean(network.loss.value(z + moved, network.y)))


def l2_loss(network: Network, strength: float) -> LossTerms:
    """ℓ_B(0) + ½ strength ‖W‖² over all parameters, as weight decay has it. Cost: one forward pass."""
    squares = [parameter.flatten(1).square().sum(-1) for parameter in network.parameters]
    return LossTerms(data=network.plain(), explicit=strength / 2 * torch.stack(squares).sum(0))


def surrogate_loss(
    network: Network,
    draws: RandomNumbers,
    choices: Surrogate,
    *,
    explicit: float = 1.0,
    implicit: float = 1.0,
    hessian_of: Loss | None = None,
    ablation: Literal["true_label", "likeliest_label"] | None = None,
) -> LossTerms:
    """ℓ_B(0) + λ R_approx + μ ∇ℓᵀJη, whose gradient is ∇(ℓ + λ R_approx) + μ ξ_approx (section 5).

    Args:
        network, draws, choices: A minibatch, random numbers, how the terms are computed.
        explicit: λ; 0 leaves the term out.
        implicit: μ; 0 leaves the term out.
        hessian_of: The loss whose Hessian R_approx sees, if not the network's.
        ablation: Take a squared Jacobian of the loss at one label in place of R_approx.

    Cost beside a plain step: a differentiable backward pass for each term, two for a shared tangent; the exact estimator
    takes one for each direction in output space, times the rows that share masks.
    """
    known_hessian(choices.hessian)
    estimator = choices.estimator.replace("-", "_")
    shared = choices.shared_tangent and explicit and implicit and ablation is None
    if explicit and ablation is None and estimator == "exact" and network.by_row and not shared:
        z, jacobians = site_jacobians(network, hessian_of)
        shares = exact_shares(network, z, jacobians, hessian=choices.hessian, loss=hessian_of)
        penalty: Tensor | None = _sum(shares)
        noise = jacobian_noise(network, z, jacobians, draws) if implicit else None
        return _terms(network, z, explicit, penalty, implicit, noise)
    watch = network.watch()
    z = network.forward(watch)
    if shared:
        penalty, noise = _from_one_tangent(network, z, watch, draws, choices, hessian_of or network.loss)
        return _terms(network, z, explicit, penalty, implicit, noise)
    penalty = noise = None
    if explicit and ablation is not None:
        penalty = _sum(ablated_shares(network, z, watch, draws, ablation))
    elif explicit:
        shares = explicit_shares(
            network,
            z,
            watch,
            draws,
            estimator=estimator,
            hessian=choices.hessian,
            samples=choices.samples,
            loss=hessian_of,
        )
        penalty = _sum(shares)
    if implicit:
        noise = implicit_term(network, z, watch, draws)
    return _terms(network, z, explicit, penalty, implicit, noise)


def _from_one_tangent(
    network: Network, z: Tensor, watch: Watch, draws: RandomNumbers, choices: Surrogate, loss: Loss
) -> tuple[Tensor, Tensor]:
    """½ żᵀH_outż and ∇ℓᵀż with one ż = Jη over all sites."""
    signs = draws.signs()
    moved = tangent(z, watch, {site: sqrt(v) * signs[site] for site, v in network.variances.items()})
    at = z.detach() if choices.hessian == "constant" else z
    penalty = network.mean(loss.quadratic(at, moved)) / 2
    return penalty, network.mean((network.loss.gradient(z, network.y) * moved).sum(-1))


def _terms(
    network: Network,
    z: Tensor,
    explicit: float,
    penalty: Tensor | None,
    implicit: float,
    noise: Tensor | None,
) -> LossTerms:
    return LossTerms(
        data=network.mean(network.loss.value(z, network.y)),
        explicit=None if penalty is None else explicit * penalty,
        implicit=None if noise is None else implicit * noise,
    )


def _sum(shares: Shares) -> Tensor:
    return torch.stack(list(shares.values())).sum(0)
