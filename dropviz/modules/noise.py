"""The implicit effect of anybody's module: the noise of one update, by masks and by formula."""

from __future__ import annotations

from math import sqrt
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd import grad

from dropviz import regularizers
from dropviz.losses import cross_entropy
from dropviz.modules.measured import Measured, measured
from dropviz.modules.network import Epsilon, ModuleNetwork
from dropviz.sites import Forward


def implicit_noise(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """ξ_approx = ∇_W [∇ℓᵀJη], η = ±√v, by parameter name: mean zero, covariance near dropout's (Wei et al. 2020, section 4.2)."""
    asked = ModuleNetwork(model, x, forward, generator)
    return _by_name(model, implicit_term(asked, y))


def mask_noise(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """(∇ℓ(ε′) − ∇ℓ(ε″)) / √2 with two masks, by parameter name: mean zero, and dropout's covariance exactly."""
    asked = ModuleNetwork(model, x, forward, generator)
    draws = asked.draws(asked.probe())
    first, second = asked.masked(draws), asked.masked(draws)
    labels = asked.labels(y, first)
    difference = cross_entropy(first, labels).mean() - cross_entropy(second, labels).mean()
    return _by_name(model, difference / sqrt(2))


def noise_covariance_trace(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    kind: Literal["mask", "analytic"] = "mask",
    samples: int = 32,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> Measured:
    """tr Cov ξ of the gradient noise of one update, as the mean of ‖ξ‖² over so many draws of it.

    Raises:
        ValueError: ``kind`` is neither ``mask`` nor ``analytic``; or see ``explicit_regularizer``.
    """
    draw = {"mask": mask_noise, "analytic": implicit_noise}.get(kind)
    if draw is None:
        raise ValueError(f"kind = {kind!r} is not possible: choose mask or analytic.")
    noises = [draw(model, x, y, forward=forward, generator=generator) for _ in range(samples)]
    return measured([sum(part.square().sum() for part in noise.values()) for noise in noises])


def implicit_term(asked: ModuleNetwork, y: Tensor) -> Tensor:
    """∇ℓᵀJη, η = ±√v: a scalar whose gradient is ξ_approx."""
    watch = Epsilon()
    z = asked.forward(watch)
    return regularizers.implicit_term(asked.network(asked.labels(y, z)), z, watch, asked.draws(z))[0]


def _by_name(model: nn.Module, value: Tensor) -> dict[str, Tensor]:
    """The gradient of a scalar by parameter name, 0 where it does not depend on one."""
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    found = grad(value, list(named.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(named, found, strict=True))
