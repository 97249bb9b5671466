"""The 1/k law: how the squared norm of a step's gradient falls with the number of masks it is a mean over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropviz.statistics.samples import with_error
from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor

MASKS = 8


def measure(moment: Moment) -> dict[str, Tensor]:
    """``law/k1``, ``law/k2``, ``law/k4`` and ``law/k8``: E‖g_k‖² of the gradient over k masks of one minibatch, ± standard error.

    The law says ‖∇ℓ_drop‖² + minibatch part + mask part / k (section 5 of the paper). Minibatches that are smaller than a
    step's are left as they are, and so is each part of the law for them. Cost: ``MASKS`` gradients a minibatch.
    """
    g = moment.gradients("law", MASKS)
    found: dict[str, Tensor] = {}
    for k in (1, 2, 4, 8):
        groups = g.unflatten(2, (MASKS // k, k)).mean(3)
        found |= with_error(f"law/k{k}", groups.square().sum(-1).mean(-1).unbind(1))
    return found


statistic = Statistic(name="law", groups=("law",), tier="refresh", measure=measure)
