"""The explicit effect of anybody's module: by formula, by definition, and to second order."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import grad

from dropviz import regularizers
from dropviz.estimate import Estimate, at_least, estimate
from dropviz.losses import IGNORED
from dropviz.modules.network import ModuleNetwork
from dropviz.regularizers import Estimator, Hessian, explicit_shares
from dropviz.sites import Forward


def explicit_regularizer(
    model: nn.Module,
    x: Any,
    *,
    loss: Any = "cross_entropy",
    estimator: Estimator = "auto",
    hessian: Hessian = "differentiated",
    samples: int = 1,
    weight: Tensor | None = None,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
    per_site: bool = False,
) -> Any:
    """R_approx = ½ Σ_sites v tr(JᵀH_outJ), mean over rows, differentiable in the parameters (Wei et al. 2020, eq. 5).

    Args:
        model: In train mode, with at least one active dropout site.
        x: What the model is called with, or ``forward``'s second argument; no label is needed.
        loss: ``cross_entropy``, ``half_squared_error``, ``binary_cross_entropy``, or an object with ``value(z, y)`` and
            ``factor(z)``, see ``losses.read_loss``.
        estimator: ``exact``: a backward pass an output, times the rows that share a mask with others. ``root_hessian``: one
            random ±1 an output. ``forward``: one random direction in mask space, by two backward passes a site.
            ``sampled_label``: one label drawn from the model, the authors'. ``auto``: the last site in closed form where
            its units go straight into a linear output, and root_hessian for the others.
        hessian: Whether the gradient goes through the output Hessian; ``constant`` is the authors' code.
        samples: Independent draws that are averaged; the exact value needs none.
        weight: Of each row in the mean; 0 for padding.
        forward: ``forward(model, x)`` gives the logits, for models that return something else.
        generator: For the draws; without one they differ from call to call.
        per_site: Return a dictionary, site name → its share.

    Returns:
        A scalar, or a dictionary of scalars. The value is unbiased for every estimator. The gradient is too, but with
        ``constant`` it is that of R with H_out held fixed.

    Cost beside a forward pass: one differentiable backward pass a sample; exact: one for each column of F.

    Raises:
        ValueError: No dropout site, or one of those that ``dropout_sites`` raises; logits that are not finite or have no
            derivative; autocast; a choice that does not exist.
    """
    at_least("samples", samples, 1)
    asked = ModuleNetwork(model, x, loss=loss, weight=weight, forward=forward, generator=generator)
    wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        watch = asked.watch()
        z = asked.forward(watch)
        shares = explicit_shares(
            asked, z, watch, asked.draws, estimator=estimator, hessian=hessian, samples=samples
        )
    found = {
        site: share.squeeze(0) if wanted else share.detach().squeeze(0) for site, share in shares.items()
    }
    return found if per_site else torch.stack(list(found.values())).sum()


def measure_explicit_regularizer(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    loss: Any = "cross_entropy",
    masks: int = 256,
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> Estimate:
    """R = E_ε ℓ(z(ε)) − ℓ(z(0)) by definition: mean and standard error over so many masks.

    Args:
        model, x, loss, weight, forward, generator: See ``explicit_regularizer``.
        y: Labels, one a row of the logits: in their shape without the classes, or flat; or a target for each output.
        masks: Forward passes without gradient, at least 2.
        ignore_index: Label of rows that do not count.

    Raises:
        ValueError: See ``explicit_regularizer``; or targets in the wrong number or order, or one out of range.
    """
    at_least("masks", masks, 2)
    asked = ModuleNetwork(
        model, x, y, loss=loss, weight=weight, ignore_index=ignore_index, forward=forward, generator=generator
    )
    # A mask at a time: the logits of all of them may be many.
    with torch.no_grad():
        plain = asked.plain()
        losses = [regularizers.dropout_loss(asked, asked.draws).data for _ in range(masks)]
    return estimate(loss - plain for loss in losses)


def second_order_term(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    loss: Any = "cross_entropy",
    samples: int = 64,
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> Estimate:
    """½ Σ_sites v tr ∇²_ε ℓ: R_approx and what it drops, the curvature of the logits in ε.

    By so many random directions η = ±√v in mask space, ½ ηᵀ∇²_εℓ η each; cost: a backward pass a direction.

    Args:
        model, x, y, loss, weight, ignore_index, forward, generator: See ``measure_explicit_regularizer``.
        samples: Directions, at least 2.

    Raises:
        ValueError: See ``measure_explicit_regularizer``.
    """
    at_least("samples", samples, 2)
    asked = ModuleNetwork(
        model, x, y, loss=loss, weight=weight, ignore_index=ignore_index, forward=forward, generator=generator
    )
    found = []
    with torch.enable_grad():
        watch = asked.watch()
        z = asked.forward(watch)
        slopes = regularizers.slopes(z, watch, asked.weighted(asked.loss.gradient(z, asked.y)))
        views = list(watch.views.values())
        for _ in range(samples):
            signs = asked.draws.signs()
            ways = {site: sqrt(v) * signs[site] for site, v in asked.variances.items()}
            along = torch.stack([(slope * ways[site]).sum() for site, slope in slopes.items()]).sum()
            products = grad(along, views, retain_graph=True, allow_unused=True, materialize_grads=True)
            second = zip(watch.views, products, strict=True)
            found.append(sum((watch.slope(site, part) * ways[site]).sum() for site, part in second) / 2)
    return estimate(found)
