"""Losses for anybody's training loop: dropout with k masks, and the formulas in its place."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from dropviz import regularizers
from dropviz.losses import cross_entropy, logit_gradient
from dropviz.modules.estimators import Estimator, Hessian, Shares, known_hessian, quadratic, tangent
from dropviz.modules.measured import at_least
from dropviz.modules.network import Epsilon, ModuleNetwork
from dropviz.modules.noise import implicit_term
from dropviz.regularizers import LossTerms
from dropviz.sites import Forward


def surrogate_loss(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    explicit: float = 1.0,
    implicit: float = 1.0,
    estimator: Estimator = "auto",
    hessian: Hessian = "differentiated",
    samples: int = 1,
    shared_tangent: bool = False,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> LossTerms:
    """ℓ(z(0)) + λ R_approx + μ ∇ℓᵀJη in place of dropout: differentiate its ``total`` (Wei et al. 2020, section 5).

    Args:
        model, x, y: The model in train mode, its input, a label a row of its logits.
        explicit: λ; 1 is the theory. 0 leaves the term out.
        implicit: μ; 1 is the theory. 0 leaves the term out.
        estimator, hessian, samples, forward, generator: See ``explicit_regularizer``.
        shared_tangent: Take both terms from one ż = Jη: cheaper, with a noisier explicit gradient. ``estimator`` and
            ``samples`` play no part then.

    Returns:
        Scalars ``data``, ``explicit`` and ``implicit``, the coefficients included; a term that is left out is None.

    Cost beside a plain step: a differentiable backward pass for either term, two for a shared tangent; what the estimator
    takes (C passes when exact); and a forward pass without gradient, which finds the sites.

    Raises:
        ValueError: See ``measure_explicit_regularizer``.
    """
    asked = ModuleNetwork(model, x, y, forward, generator)
    watch = Epsilon()
    z = asked.forward(watch)
    labels, draws = asked.y, asked.draws
    penalty = noise = None
    if shared_tangent:
        known_hessian(hessian)
        signs = draws.signs()
        moved = tangent(z, watch.views, {name: sqrt(v) * signs[name] for name, v in asked.variances.items()})
        penalty = quadratic(z, moved, constant=hessian == "constant").mean() / 2
        noise = (logit_gradient(z, labels) * moved).sum(-1).mean()
    else:
        if explicit:
            shares = Shares(asked, z, watch, hessian).by(estimator, samples)
            penalty = torch.stack(list(shares.values())).sum()
        if implicit:
            noise = regularizers.implicit_term(asked.network(), z, watch, draws)[0]
    return LossTerms(
        data=cross_entropy(z, labels).mean(),
        explicit=explicit * penalty if explicit and penalty is not None else None,
        implicit=implicit * noise if implicit and noise is not None else None,
    )


def dropout_loss(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    k: int = 1,
    mask_noise: bool = False,
    analytic_noise: bool = False,
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
    asked = ModuleNetwork(model, x, y, forward, generator)
    terms = regularizers.dropout_loss(asked.network(), asked.draws, k=k, mask_noise=mask_noise)
    noise = terms.implicit
    if analytic_noise:
        noise = sqrt(1 - 1 / k) * implicit_term(asked)
    return LossTerms(data=terms.data.sum(), implicit=None if noise is None else noise.sum())
