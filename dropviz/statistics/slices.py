"""The loss around the weights, on the plane of the two eigenvectors of largest eigenvalue, of the first seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 13  # points along each axis; the middle one is where the weights are
RISE = 1.0  # nats by which the loss would rise at the end of an axis if it were quadratic
FLATTEST = 1e-4  # eigenvalues below this are treated as this: the plane stays of finite size


def measure(moment: Moment) -> dict[str, Tensor]:
    """``slice/loss`` (1, SIDE, SIDE), rows along the second eigenvector, and ``slice/axes`` (1, 2, SIDE), distances in weight space.

    The axes end where the loss would have risen by ``RISE`` if it were quadratic. Cost: a forward pass of the first seed's
    probe a point.
    """
    import torch

    first = moment.probe.krylov[0]
    if first.values.shape[-1] < 2:
        return {}
    pair = first.vectors(2)[0].flip(0)  # (2, P), the largest first
    values = first.values[0, -2:].flip(0).clamp_min(FLATTEST)
    reach = (2 * RISE / values).sqrt()
    along = torch.linspace(-1, 1, SIDE, device=pair.device, dtype=pair.dtype)
    axes = reach.unsqueeze(-1) * along
    plane = axes[0][None, :, None] * pair[0] + axes[1][:, None, None] * pair[1]
    here = torch.cat([parameter.detach()[0].flatten() for parameter in moment.parameters])
    losses = torch.cat([moment.losses_at(here + row) for row in plane])
    return {"slice/loss": losses.view(1, SIDE, SIDE), "slice/axes": axes[None]}


statistic = Statistic(name="slices", groups=("slice",), tier="refresh", measure=measure)
