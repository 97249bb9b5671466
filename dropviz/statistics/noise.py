"""Gradient noise of a training step: what masks and what minibatches bring into it, and ξ_approx in place of masks."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from dropviz.statistics.samples import squares, with_error
from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor

ANALYTIC_DRAWS = 2


def measure(moment: Moment) -> dict[str, Tensor]:
    """Traces of covariances of a step's gradient, and the squared norm that they add to, each ± standard error.

    With g the gradient of a minibatch under a mask, from two masks for each of the fixed minibatches:
    ``noise/mask``: E ½‖g′ − g″‖² on one minibatch, times what the arm keeps of it (1/k for k masks; all of it with mask noise
    or for one mask; none for arms without masks, whose value is that of one mask, for comparison).
    ``noise/minibatch``: of the minibatches' gradients of the dropout loss. ``noise/signal``: ‖∇ℓ_drop‖². Both from products of
    g under different masks, so that mask noise does not enter. ``noise/analytic``: E‖ξ_approx‖².
    Minibatches that are smaller than a step's are put right by their number of rows.

    Cost: a gradient a minibatch and mask; two differentiable backward passes on the probe.
    """
    kept = moment.strategy.noise_factor() or 1.0
    g = moment.gradients("noise", 2)
    rows = moment.minibatches[0].rows / moment.rows
    found = with_error("noise/mask", (rows * kept * (g[:, :, 0] - g[:, :, 1]).square().sum(-1) / 2).unbind(1))
    found |= _minibatches(g[:, :, 0] @ g[:, :, 1].transpose(-1, -2), rows)
    return found | with_error("noise/analytic", _analytic(moment))


def _minibatches(products: Tensor, rows: float) -> dict[str, Tensor]:
    """Minibatch noise and signal from the products g′_a · g″_b of minibatches a, b: (S, G, G).

    The mean over a ≠ b is ‖∇ℓ_drop‖²; that over a = b lies above it by the trace of the minibatches' covariance. Standard
    errors by the jackknife over minibatches.
    """
    import torch

    count = products.shape[-1]
    if count < 2:
        return {}
    keep = ~torch.eye(count, dtype=torch.bool, device=products.device)
    parts = [_parts(products, rows)]
    parts += [_parts(products[:, row][..., row], rows) for row in keep] if count > 2 else []
    found = {}
    for index, name in enumerate(("noise/minibatch", "noise/signal")):
        found[name] = parts[0][index]
        if count > 2:
            left_out = torch.stack([part[index] for part in parts[1:]])
            found[f"{name}_se"] = sqrt((count - 1) ** 2 / count) * left_out.std(0)
    return found


def _parts(products: Tensor, rows: float) -> tuple[Tensor, Tensor]:
    count = products.shape[-1]
    same = products.diagonal(dim1=-2, dim2=-1).sum(-1)
    between = (products.sum((-1, -2)) - same) / (count * (count - 1))
    return rows * (same / count - between), between


def _analytic(moment: Moment) -> list[Tensor]:
    """‖ξ_approx‖² of a step, a draw each: on the probe where masks are independent per row, else on a minibatch."""
    import torch
    from torch.autograd import grad

    from dropviz.regularizers import implicit_terms

    if moment.network.by_row:
        network, watch, z = moment.network, moment.probe.watch, moment.probe.z
    else:
        network = moment.minibatches[0]
        watch = network.watch()
        z = network.forward(watch)
    draws = moment.draws("noise/analytic", network)
    found = []
    for term in implicit_terms(network, z, watch, [draws.sample(index) for index in range(ANALYTIC_DRAWS)]):
        noise = grad(
            term.sum(), moment.parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        found.append(network.rows / moment.rows * torch.stack(squares(noise)).sum(0))
    return found


statistic = Statistic(name="noise", groups=("noise",), measure=measure)
