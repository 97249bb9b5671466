"""Many networks in the place of seeds: the same weights on other minibatches and masks, or other weights on the same data.

Shapes: S seeds, G minibatches, R masks, M = S·G·R members or n points, P parameters of one network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.curvature.products import flat
from dropviz.masks import Multiply, keep_all
from dropviz.training.feed import Batch
from dropviz.training.stacked import StackedModel

HELD = 2**24  # numbers of copied weights at once


def gradients(
    stacked: StackedModel, batches: Sequence[Batch], masks: Sequence[Mapping[str, Tensor]]
) -> Tensor:
    """∇ of the mean loss of each batch under each of its masks: (S, G, R, P).

    Args:
        stacked: The networks; nothing of them changes.
        batches: All of one size, each begun without a past.
        masks: For each batch 1 + ε by site, (S, R, …), as ``Draws.masks`` has them.

    Cost: a gradient a member, as many at a time as copies of the weights may be held.
    """
    replicas = next(iter(masks[0].values())).shape[1]
    numbers = sum(leaf.numel() for leaf in stacked.leaves)
    together = max(1, HELD // (replicas * numbers))
    parts = [slice(first, first + together) for first in range(0, len(batches), together)]
    return torch.cat([_gradients(stacked, batches[part], masks[part]) for part in parts], dim=1)


def _gradients(
    stacked: StackedModel, batches: Sequence[Batch], masks: Sequence[Mapping[str, Tensor]]
) -> Tensor:
    seeds, count = len(stacked.seeds), len(batches)
    factors = {site: torch.stack([one[site] for one in masks], dim=1) for site in masks[0]}
    replicas = next(iter(factors.values())).shape[2]
    size = (seeds, count, replicas)

    def spread(value: Tensor) -> Tensor:
        """(S, G, …) → (M, …), the same for each mask."""
        return value.unsqueeze(2).expand(*size, *value.shape[2:]).flatten(0, 2)

    parameters = {
        name: value.detach()[:, None, None].expand(*size, *value.shape[1:]).flatten(0, 2)
        for name, value in stacked.parameters.items()
    }
    leaves = [
        parameters[name].requires_grad_() for name, value in stacked.parameters.items() if value.requires_grad
    ]
    x, y = (spread(torch.stack([getattr(batch, key) for batch in batches], dim=1)) for key in ("x", "y"))
    behaviour = Multiply({site: factor.flatten(0, 2).unsqueeze(1) for site, factor in factors.items()})
    z = stacked.model.forward(parameters, x, behaviour, {})
    found = grad(stacked.loss.value(z, y).mean(-1).sum(), leaves, materialize_grads=True, allow_unused=True)
    return flat(found).view(*size, -1)


def losses_at(stacked: StackedModel, batch: Batch, points: Tensor) -> Tensor:
    """The mean loss of the first seed's data with other weights, a vector of them each (n, P): (n,). Without masks.

    Cost: a forward pass a point, as many at a time as weights and activations may be held.
    """
    held = points.shape[1] + batch.y.shape[1] * stacked.units
    together = max(1, HELD // held)
    return torch.cat([_losses_at(stacked, batch, part) for part in points.split(together)])


def _losses_at(stacked: StackedModel, batch: Batch, points: Tensor) -> Tensor:
    count, first = len(points), 0
    parameters = {}
    for name, value in stacked.parameters.items():
        if not value.requires_grad:
            parameters[name] = value[:1].expand(count, *value.shape[1:])
            continue
        size = value[0].numel()
        parameters[name] = points[:, first : first + size].reshape(count, *value.shape[1:])
        first += size
    x, y = (value[:1].expand(count, *value.shape[1:]) for value in (batch.x, batch.y))
    with torch.no_grad():
        z = stacked.model.forward(parameters, x, keep_all, {})
        return stacked.loss.value(z, y).mean(-1)
