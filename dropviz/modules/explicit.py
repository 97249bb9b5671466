"""The explicit effect of anybody's module: by formula, by definition, and to second order."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import grad

from dropviz.losses import cross_entropy
from dropviz.masks import keep_all
from dropviz.modules.estimators import Estimator, Hessian, Shares
from dropviz.modules.measured import Measured, measured
from dropviz.modules.network import Epsilon, ModuleNetwork
from dropviz.sites import Forward


def explicit_regularizer(
    model: nn.Module,
    x: Any,
    *,
    estimator: Estimator = "auto",
    hessian: Hessian = "differentiated",
    samples: int = 1,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
    per_site: bool = False,
) -> Any:
    """R_approx = ½ Σ_sites v tr(JᵀH_outJ), mean over rows, differentiable in the parameters (Wei et al. 2020, eq. 5).

    Args:
        model: In train mode, with at least one active dropout site.
        x: What the model is called with, or ``forward``'s second argument; no label is needed.
        estimator: ``exact``: C backward passes, times the rows that share a mask with others. ``root_hessian``: one random
            ±1 a class. ``forward``: one random direction in mask space, by two passes. ``sampled_label``: one label drawn
            from the model, the authors'. ``auto``: exact up to ten classes where masks are not shared, else root_hessian.
        hessian: Whether the gradient goes through the output Hessian; ``constant`` is the authors' code.
        samples: Independent draws that are averaged; the exact value needs none.
        forward: ``forward(model, x)`` gives the logits, for models that return something else.
        generator: For the draws; without one they differ from call to call.
        per_site: Return a dictionary, site name → its share.

    Returns:
        A scalar, or a dictionary of scalars. The value is unbiased for every estimator. The gradient is too, but with
        ``constant`` it is that of R with H_out held fixed.

    Raises:
        ValueError: No dropout site, or one of those that ``dropout_sites`` raises.
    """
    asked = ModuleNetwork(model, x, forward, generator)
    watch = Epsilon()
    z = asked.forward(watch)
    shares = Shares(asked, z, watch, hessian)
    found = shares.by(estimator, samples)
    return found if per_site else torch.stack(list(found.values())).sum()


def measure_explicit_regularizer(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    masks: int = 256,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> Measured:
    """R = E_ε ℓ(z(ε)) − ℓ(z(0)) by definition: mean and standard error over so many masks.

    Args:
        model, x, forward, generator: See ``explicit_regularizer``.
        y: Labels, one a row of the logits.
        masks: Forward passes, at least 2.

    Raises:
        ValueError: See ``explicit_regularizer``; or a label out of range.
    """
    asked = ModuleNetwork(model, x, forward, generator)
    with torch.no_grad():
        z = asked.forward(keep_all)
        labels, draws = asked.labels(y, z), asked.draws(z)
        plain = cross_entropy(z, labels).mean()
        losses = [cross_entropy(asked.masked(draws), labels).mean() - plain for _ in range(masks)]
    return measured(losses)


def second_order_term(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    samples: int = 64,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> Measured:
    """½ Σ_sites v tr ∇²_ε ℓ: R_approx and what it drops, the curvature of the logits in ε.

    By so many random directions η = ±√v in mask space, ½ ηᵀ∇²_εℓ η each; cost: a backward pass a direction.
    """
    asked = ModuleNetwork(model, x, forward, generator)
    watch = Epsilon()
    z = asked.forward(watch)
    loss, draws, views = (
        cross_entropy(z, asked.labels(y, z)).mean(),
        asked.draws(z),
        list(watch.views.values()),
    )
    slopes = grad(loss, views, create_graph=True)
    found = []
    for _ in range(samples):
        signs = draws.signs()
        directions = [sqrt(asked.variances[name]) * signs[name] for name in watch.views]
        along = torch.stack(
            [(slope * way).sum() for slope, way in zip(slopes, directions, strict=True)]
        ).sum()
        if not along.requires_grad:  # the loss is linear in ε
            return Measured(mean=0.0, standard_error=0.0)
        products = grad(along, views, retain_graph=True, allow_unused=True, materialize_grads=True)
        found.append(sum((p * way).sum() for p, way in zip(products, directions, strict=True)) / 2)
    return measured(found)
