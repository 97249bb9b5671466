"""The explicit effect of anybody's module: by formula, by definition, and to second order."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import grad

from dropviz import regularizers
from dropviz.losses import cross_entropy
from dropviz.modules.estimators import Estimator, Hessian, Shares
from dropviz.modules.measured import Measured, at_least, measured
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
            ±1 a class. ``forward``: one random direction in mask space, by two backward passes a site. ``sampled_label``: one label drawn
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
        ValueError: No dropout site, or one of those that ``dropout_sites`` raises; logits that are not finite or have no
            derivative; autocast; a choice that does not exist.
    """
    asked = ModuleNetwork(model, x, None, forward, generator)
    wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        watch = Epsilon()
        found = Shares(asked, asked.forward(watch), watch, hessian).by(estimator, samples)
    if not wanted:
        found = {name: share.detach() for name, share in found.items()}
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
        y: Labels, one a row of the logits: in their shape without the classes, or flat. Rows labelled −100 do not count.
        masks: Forward passes without gradient, at least 2.

    Raises:
        ValueError: See ``explicit_regularizer``; or labels in the wrong number or order, or one out of range.
    """
    at_least("masks", masks, 2)
    asked = ModuleNetwork(model, x, y, forward, generator)
    network = asked.network()
    with torch.no_grad():  # a mask at a time: the logits of all of them may be many
        plain = regularizers.plain_loss(network).data
        losses = [regularizers.dropout_loss(network, asked.draws).data - plain for _ in range(masks)]
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

    Args:
        model, x, y, forward, generator: See ``measure_explicit_regularizer``.
        samples: Directions, at least 2.

    Raises:
        ValueError: See ``measure_explicit_regularizer``.
    """
    at_least("samples", samples, 2)
    asked = ModuleNetwork(model, x, y, forward, generator)
    found = []
    with torch.enable_grad():
        watch = Epsilon()
        loss = cross_entropy(asked.forward(watch), asked.y).mean()
        views = list(watch.views.values())
        slopes = grad(loss, views, create_graph=True)
        for _ in range(samples):
            signs = asked.draws.signs()
            directions = [sqrt(asked.variances[name]) * signs[name] for name in watch.views]
            along = torch.stack([(slope * way).sum() for slope, way in zip(slopes, directions, strict=True)])
            products = grad(along.sum(), views, retain_graph=True, allow_unused=True, materialize_grads=True)
            found.append(sum((p * way).sum() for p, way in zip(products, directions, strict=True)) / 2)
    return measured(found)
