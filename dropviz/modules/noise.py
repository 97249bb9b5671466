"""The implicit effect of anybody's module: the noise of one update, by masks and by formula."""

from __future__ import annotations

from math import sqrt
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd import grad

from dropviz import regularizers
from dropviz.estimate import Estimate, at_least, estimate
from dropviz.losses import IGNORED
from dropviz.modules.network import ModuleNetwork
from dropviz.sites import Forward


def implicit_noise(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    loss: Any = "cross_entropy",
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """ξ_approx = ∇_W [∇ℓᵀJη], η = ±√v, by parameter name: mean zero, covariance near dropout's (Wei et al. 2020, section 4.2).

    For parameters that require a gradient. Cost: a differentiable forward and backward pass, and a backward pass through both.

    Raises:
        ValueError: See ``measure_explicit_regularizer``.
    """
    return _by_formula(
        ModuleNetwork(
            model,
            x,
            y,
            loss=loss,
            weight=weight,
            ignore_index=ignore_index,
            forward=forward,
            generator=generator,
        )
    )


def mask_noise(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    loss: Any = "cross_entropy",
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """(∇ℓ(ε′) − ∇ℓ(ε″)) / √2 with two masks, by parameter name: mean zero, and dropout's covariance exactly.

    For parameters that require a gradient. Cost: two forward passes and a backward pass through both.

    Raises:
        ValueError: See ``measure_explicit_regularizer``.
    """
    return _by_masks(
        ModuleNetwork(
            model,
            x,
            y,
            loss=loss,
            weight=weight,
            ignore_index=ignore_index,
            forward=forward,
            generator=generator,
        )
    )


def noise_covariance_trace(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    loss: Any = "cross_entropy",
    kind: Literal["mask", "analytic"] = "mask",
    samples: int = 32,
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> Estimate:
    """tr Cov ξ of the gradient noise of one update, as the mean of ‖ξ‖² over so many draws of it, at least 2.

    Cost: that of ``mask_noise`` or ``implicit_noise`` a draw.

    Raises:
        ValueError: ``kind`` is neither ``mask`` nor ``analytic``; or see ``measure_explicit_regularizer``.
    """
    at_least("samples", samples, 2)
    asked = ModuleNetwork(
        model, x, y, loss=loss, weight=weight, ignore_index=ignore_index, forward=forward, generator=generator
    )
    noises = [noise_of(asked, kind) for _ in range(samples)]
    return estimate(sum(part.square().sum() for part in noise.values()) for noise in noises)


def noise_of(asked: ModuleNetwork, kind: str) -> dict[str, Tensor]:
    """One draw of the noise, by parameter name.

    Raises:
        ValueError: ``kind`` is neither ``mask`` nor ``analytic``.
    """
    draw = {"mask": _by_masks, "analytic": _by_formula}.get(kind)
    if draw is None:
        raise ValueError(f"kind = {kind!r} is not possible: choose mask or analytic.")
    return draw(asked)


def _by_formula(asked: ModuleNetwork) -> dict[str, Tensor]:
    with torch.enable_grad():
        watch = asked.watch()
        z = asked.forward(watch)
        return _by_name(asked.model, regularizers.implicit_term(asked, z, watch, asked.draws).sum())


def _by_masks(asked: ModuleNetwork) -> dict[str, Tensor]:
    with torch.enable_grad():
        losses = regularizers.masked_losses(asked, asked.draws.masks(2), 2)[0]
        return _by_name(asked.model, (losses[0] - losses[1]) / sqrt(2))


def _by_name(model: nn.Module, value: Tensor) -> dict[str, Tensor]:
    """The gradient of a scalar by parameter name, 0 where it does not depend on one."""
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not named:
        return {}
    found = grad(value, list(named.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(named, found, strict=True))
