"""Dropout's explicit regularizer and implicit noise: by definition, and by formula.

A ``Network`` is one minibatch of a model as a function of its dropout sites' behaviour. From it come the
loss terms of every arm (``plain_loss``, ``dropout_loss``, ``surrogate_loss``), each a value a seed, and the
measurements (``explicit_regularizer``, ``measure_explicit_regularizer``).

Source: Wei, Kakade & Ma, ICML 2020, arXiv:2002.12915, sections 3 to 5.
Shapes: S seeds, R replicas, B rows, C classes, K = C − 1, W units of a site.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd import grad
from torch.nn import functional

from dropviz.losses import cross_entropy, hessian_trace, logit_gradient, root_hessian
from dropviz.masks import Multiply, RandomNumbers, SiteBehaviour, Watch, keep_all

Jacobians = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A minibatch as a function of mask space.

    Attributes:
        forward: Site behaviour → logits (S, rows, C).
        y: Labels (S, B).
        variances: Site → v = p / (1 − p).
        shortcut: Logits and site Jacobians computed faster than by ``site_jacobians``, where a model can.
        watch: Makes the behaviour that ε is differentiated through.
        by_row: Whether every coordinate of ε acts on one row alone, its own: true of the stacked models.
    """

    forward: Callable[[SiteBehaviour], Tensor]
    y: Tensor
    variances: Mapping[str, float]
    shortcut: Callable[[], tuple[Tensor, Jacobians] | None] = lambda: None
    watch: Callable[[], Watch] = Watch
    by_row: bool = True


class Surrogate(Protocol):
    """The choices of the analytic arms; ``experiment.SurrogateChoices`` is one."""

    @property
    def estimator(self) -> str:
        """``exact``, ``root-hessian`` or ``sampled-label``."""
        ...

    @property
    def hessian(self) -> str:
        """``differentiated`` or ``constant``."""
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
class LossTerms:
    """What a step differentiates, a value a seed (S,): data, explicit and implicit terms; None is absent."""

    data: Tensor
    explicit: Tensor | None = None
    implicit: Tensor | None = None

    @property
    def total(self) -> Tensor:
        """The sum over terms and seeds: seeds share no parameter, so their gradients do not mix."""
        total = self.data.sum()
        for term in (self.explicit, self.implicit):
            total = total if term is None else total + term.sum()
        return total


def plain_loss(network: Network) -> LossTerms:
    """ℓ_B(0). Cost: one forward pass."""
    return LossTerms(data=cross_entropy(network.forward(keep_all), network.y).mean(-1))


def dropout_loss(
    network: Network, draws: RandomNumbers, *, k: int = 1, mask_noise: bool = False
) -> LossTerms:
    """(1/k) Σ ℓ_B(ε_i), and √(1 − 1/k) (ℓ_B(ε′) − ℓ_B(ε″)) / √2 with two further masks.

    The first keeps the explicit effect and 1/k of the covariance of the gradient noise; the second has mean
    zero and the covariance that is missing (section 3.2). Cost: one forward pass over k (+ 2) replicas.
    """
    replicas = k + 2 * mask_noise
    z = network.forward(Multiply(draws.masks(replicas)))
    y = network.y.unsqueeze(1).expand(-1, replicas, -1)
    losses = cross_entropy(z, y.flatten(1)).view(y.shape).mean(-1)
    if not mask_noise:
        return LossTerms(data=losses.mean(1))
    noise = sqrt((1 - 1 / k) / 2) * (losses[:, k] - losses[:, k + 1])
    return LossTerms(data=losses[:, :k].mean(1), implicit=noise)


def surrogate_loss(
    network: Network,
    draws: RandomNumbers,
    choices: Surrogate,
    *,
    explicit: float = 1.0,
    implicit: float = 1.0,
) -> LossTerms:
    """ℓ_B(0) + λ R_approx + μ ∇ℓᵀJη, whose gradient is ∇(ℓ + λ R_approx) + μ ξ_approx (section 5).

    Cost in forward-backward passes: 2 for one sample of either term; the exact estimator C − 1 rows a row.
    """
    if explicit and choices.estimator == "exact":
        z, jacobians = site_jacobians(network)
        penalty: Tensor | None = exact_regularizer(network, z, jacobians, hessian=choices.hessian)
        noise = jacobian_noise(network, z, jacobians, draws) if implicit else None
    else:
        watch = network.watch()
        z = network.forward(watch)
        penalty = sampled_regularizer(network, z, watch, draws, choices) if explicit else None
        noise = implicit_term(network, z, watch, draws) if implicit else None
    return LossTerms(
        data=cross_entropy(z, network.y).mean(-1),
        explicit=None if penalty is None else explicit * penalty,
        implicit=None if noise is None else implicit * noise,
    )


def site_jacobians(network: Network, *, shortcut: bool = True) -> tuple[Tensor, Jacobians]:
    """Logits (S, B, C), and J_c − J_C for c < C at every site: (S, B, K, W) with J_cj = h_j ∂z_c/∂h_j.

    Exact and differentiable. Cost: K backward passes, batched; less where the model has a shortcut.
    """
    found = network.shortcut() if shortcut else None
    if found is not None:
        return found
    watch = network.watch()
    z = network.forward(watch)
    count = z.shape[-1]
    differences = torch.eye(count, dtype=z.dtype, device=z.device)[:-1]
    differences[:, -1] = -1
    outputs = differences[:, None, None].expand(-1, *z.shape)
    slopes = grad(z, list(watch.views.values()), outputs, create_graph=True, is_grads_batched=True)
    jacobians = {
        site: watch.slope(site, slope).permute(1, 2, 0, *range(3, slope.ndim)).flatten(3)
        for site, slope in zip(watch.views, slopes, strict=True)
    }
    return z, jacobians


def exact_regularizer(
    network: Network, z: Tensor, jacobians: Jacobians, *, hessian: str = "differentiated"
) -> Tensor:
    """R_approx = ½ Σ_sites v tr(JᵀH_out J), mean over rows: (S,). Exact (section 4, eq. 5)."""
    p = z.softmax(-1)
    p = p.detach() if hessian == "constant" else p
    terms = [v / 2 * hessian_trace(jacobians[site], p).mean(-1) for site, v in network.variances.items()]
    return torch.stack(terms).sum(0)


def sampled_regularizer(
    network: Network, z: Tensor, watch: Watch, draws: RandomNumbers, choices: Surrogate
) -> Tensor:
    """R_approx from one sample a row, (S,): unbiased in value; see ``choices.hessian`` for the gradient.

    ``root-hessian``: ½ v ‖∂(wᵀz)/∂ε‖² with E wwᵀ = H_out; w is a constant of the inner derivative and, when
    the Hessian is differentiated, a function of W in the outer one.
    ``sampled-label``: ½ v ‖∂ log p(ŷ)/∂ε‖² with ŷ ~ p, the authors' estimator; its gradient is that of R with
    H_out held constant, and the score-function term added for ``differentiated`` makes up the rest.
    """
    if choices.estimator == "root-hessian":
        w = root_hessian(z, draws.class_signs())
        return _squared_slopes(network, z, watch, w.detach() if choices.hessian == "constant" else w).mean(-1)
    p = z.softmax(-1)
    label = sample_label(p.detach(), draws.uniforms())
    rows = _squared_slopes(network, z, watch, functional.one_hot(label, z.shape[-1]).to(p.dtype) - p)
    if choices.hessian == "differentiated":
        log_p = -cross_entropy(z, label)
        score = log_p - log_p.detach()
        rows = rows + rows.detach() * (score if network.by_row else score.sum(-1, keepdim=True))
    return rows.mean(-1)


def sample_label(p: Tensor, uniform: Tensor) -> Tensor:
    """A label a row, drawn from p (S, N, C) by numbers in (0, 1) (S, N)."""
    chosen = (p.double().cumsum(-1) < uniform.unsqueeze(-1)).sum(-1)
    return chosen.clamp_(max=p.shape[-1] - 1)


def _squared_slopes(network: Network, z: Tensor, watch: Watch, outputs: Tensor) -> Tensor:
    """½ v ‖∂(outputsᵀz)/∂ε‖² over all sites, as ``_by_row`` gives it."""
    slopes = grad(z, list(watch.views.values()), outputs, create_graph=True)
    terms = [
        network.variances[site] / 2 * _by_row(network, watch.slope(site, slope).square(), z.shape[1])
        for site, slope in zip(watch.views, slopes, strict=True)
    ]
    return torch.stack(terms).sum(0)


def _by_row(network: Network, product: Tensor, rows: int) -> Tensor:
    """The sum over ε of each row (S, N); where ε is not by row, the mean over rows (S, 1)."""
    if network.by_row:
        return product.flatten(2).sum(-1)
    return product.flatten(1).sum(-1, keepdim=True) / rows


def implicit_term(network: Network, z: Tensor, watch: Watch, draws: RandomNumbers) -> Tensor:
    """∇ℓᵀJη, η = ±√v, mean over rows: (S,). Its gradient is ξ_approx (section 4.2)."""
    loss = cross_entropy(z, network.y).sum()
    slopes = grad(loss, list(watch.views.values()), create_graph=True)
    signs = draws.signs()
    terms = [
        sqrt(network.variances[site])
        * _by_row(network, watch.slope(site, slope) * signs[site], z.shape[1]).mean(-1)
        for site, slope in zip(watch.views, slopes, strict=True)
    ]
    return torch.stack(terms).sum(0)


def jacobian_noise(network: Network, z: Tensor, jacobians: Jacobians, draws: RandomNumbers) -> Tensor:
    """The same term out of Jacobians that are at hand: (S,)."""
    gradient = logit_gradient(z, network.y)[..., :-1]
    signs = draws.signs()
    terms = []
    for site, v in network.variances.items():
        direction = signs[site].flatten(2).unsqueeze(-1).to(z.dtype)
        tangent = (jacobians[site] @ direction).squeeze(-1)
        terms.append(sqrt(v) * (gradient * tangent).sum(-1).mean(-1))
    return torch.stack(terms).sum(0)


def explicit_regularizer(network: Network) -> Tensor:
    """The value of R_approx, exact, a number a seed: (S,)."""
    z, jacobians = site_jacobians(network)
    return exact_regularizer(network, z, jacobians)


def measure_explicit_regularizer(
    network: Network, draws: RandomNumbers, *, masks: int
) -> tuple[Tensor, Tensor]:
    """R = E_ε ℓ(z(ε)) − ℓ(z(0)) by Monte Carlo: mean and standard error over masks, each (S,).

    By definition, no expansion. Cost: ``masks`` forward passes, no gradient.
    """
    with torch.no_grad():
        plain = cross_entropy(network.forward(keep_all), network.y).mean(-1, keepdim=True)
        z = network.forward(Multiply(draws.masks(masks)))
        y = network.y.unsqueeze(1).expand(-1, masks, -1)
        differences = cross_entropy(z, y.flatten(1)).view(y.shape).mean(-1) - plain
    return differences.mean(-1), differences.std(-1) / sqrt(masks)
