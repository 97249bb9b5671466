"""Losses for anybody's training loop: dropout with k masks, and the formulas in its place."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dropviz import regularizers
from dropviz.estimate import at_least
from dropviz.losses import IGNORED
from dropviz.modules.network import ModuleNetwork
from dropviz.regularizers import Choices, Estimator, Hessian, LossTerms
from dropviz.sites import Forward


def surrogate_loss(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    loss: Any = "cross_entropy",
    explicit: float = 1.0,
    implicit: float = 1.0,
    estimator: Estimator = "auto",
    hessian: Hessian = "differentiated",
    samples: int = 1,
    shared_tangent: bool | None = None,
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> LossTerms:
    """ℓ(z(0)) + λ R_approx + μ ∇ℓᵀJη in place of dropout: differentiate its ``total`` (Wei et al. 2020, section 5).

    Args:
        model, x, y: The model in train mode, its input, a label a row of its logits or a target for each output.
        loss, estimator, hessian, samples, weight, forward, generator: See ``explicit_regularizer``.
        explicit: λ; 1 is the theory. 0 leaves the term out.
        implicit: μ; 1 is the theory. 0 leaves the term out.
        shared_tangent: Take both terms from one ż = Jη: cheaper, with a noisier explicit gradient; ``estimator`` and
            ``samples`` play no part then. By default where both terms are on and neither of these two was chosen.
        ignore_index: Label of rows that do not count.

    Returns:
        Scalars ``data``, ``explicit`` and ``implicit``, the coefficients included; a term that is left out is None.

    Cost beside a plain step: a differentiable backward pass for either term, two for a shared tangent; a pass an output
    when exact.

    Raises:
        ValueError: See ``measure_explicit_regularizer``.
    """
    at_least("samples", samples, 1)
    asked = ModuleNetwork(
        model, x, y, loss=loss, weight=weight, ignore_index=ignore_index, forward=forward, generator=generator
    )
    if shared_tangent is None:
        shared_tangent = estimator == "auto" and samples == 1
    choices = Choices(estimator=estimator, hessian=hessian, samples=samples, shared_tangent=shared_tangent)
    return _scalars(
        regularizers.surrogate_loss(asked, asked.draws, choices, explicit=explicit, implicit=implicit)
    )


def dropout_loss(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    loss: Any = "cross_entropy",
    k: int = 1,
    mask_noise: bool = False,
    analytic_noise: bool = False,
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> LossTerms:
    """(1/k) Σ ℓ(z(ε_i)), with the noise that k masks lack given back by two more masks or by formula, times √(1 − 1/k).

    Returns:
        Scalars ``data`` and, with noise, ``implicit``; differentiate ``total``. Cost: k (+ 2) forward passes.

    Raises:
        ValueError: k is below 1, or both kinds of noise are asked for; or see ``measure_explicit_regularizer``.
    """
    at_least("k", k, 1)
    if mask_noise and analytic_noise:
        raise ValueError(
            "Both mask_noise and analytic_noise are asked for: each gives back all of it, so take one."
        )
    asked = ModuleNetwork(
        model, x, y, loss=loss, weight=weight, ignore_index=ignore_index, forward=forward, generator=generator
    )
    return _scalars(
        regularizers.dropout_loss(
            asked, asked.draws, k=k, mask_noise=mask_noise, analytic_noise=analytic_noise
        )
    )


def _scalars(terms: LossTerms) -> LossTerms:
    """Of one network: without the axis of seeds."""
    return LossTerms(
        data=terms.data.squeeze(0),
        explicit=None if terms.explicit is None else terms.explicit.squeeze(0),
        implicit=None if terms.implicit is None else terms.implicit.squeeze(0),
    )
