"""A statistic: by how much the best logit of a probe's examples leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropviz.statistics import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor


def measure(moment: Moment) -> dict[str, Tensor]:
    """``margin/mean``: between the two largest logits, mean over the probe: (S,). No further pass."""
    z = moment.probe.z.detach()
    if z.shape[-1] < 2:
        return {}
    best = z.topk(2, dim=-1).values
    return {"margin/mean": (best[..., 0] - best[..., 1]).mean(-1)}


statistic = Statistic(name="margin", groups=("margin",), measure=measure)
