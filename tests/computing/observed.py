"""The tiny net as a statistic sees it."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.curvature.products import flat
from dropviz.regularizers import masked_losses
from dropviz.statistics import Moment, statistics
from dropviz.strategies import strategy
from tests import reference
from tests.computing.tiny import Tiny, tiny

COPIES = 1500


def moment(
    net: Tiny, copies: int, *, arm: str = "dropout", memory: dict[str, Tensor] | None = None
) -> Moment:
    """The tiny net as a statistic sees it, many times over; its three minibatches are all the same two rows."""
    network, leaves = net.network(copies, dtype=torch.float32)

    def gradients(purpose: str, masks: int) -> Tensor:
        found = []
        for batch in range(3):
            losses = masked_losses(network, net.draws(copies, f"{purpose}/{batch}").masks(masks), masks)
            found.append(
                torch.stack([flat(grad(one.sum(), leaves, retain_graph=True)) for one in losses.T], 1)
            )
        return torch.stack(found, dim=1)

    return Moment(
        step=0,
        strategy=strategy(arm),
        parameters=leaves,
        layers=["layer1", "layer1", "layer2", "layer2", "layer3", "layer3"],
        network=network,
        minibatches=[network] * 3,
        draws=lambda name, network: net.draws(copies, purpose=name),
        gradients=gradients,
        losses_at=lambda points: torch.stack(
            [reference.plain_loss(net.net, w.double(), net.x, net.y) for w in points]
        ).float(),
        predictions=[
            (torch.randn(copies, 40, 3, generator=seeded()), torch.arange(40).expand(copies, -1) % 3)
        ],
        masks=4,
        rows=network.rows,
        memory={} if memory is None else memory,
    )


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@cache
def of_tiny(*sizes: int, copies: int = COPIES, arm: str = "dropout", tier: str = "live") -> dict[str, Tensor]:
    """``measured`` of the tiny net of these sizes; measured once."""
    return measured(tiny(sizes) if sizes else tiny(), copies, arm=arm, tier=tier)


def measured(
    net: Tiny, copies: int = COPIES, *, arm: str = "dropout", tier: str = "live"
) -> dict[str, Tensor]:
    """All numbers of all statistics of a tier: name → (S,) or (S, …)."""
    seen = moment(net, copies, arm=arm)
    chosen = [one for one in statistics() if one.tier == tier and one.name != "slices"]
    return {name: value.double() for one in chosen for name, value in one.measure(seen).items()}


def hessian_of(net: Tiny) -> Tensor:
    return reference.hessian(lambda w: reference.plain_loss(net.net, w, net.x, net.y), net.w)
