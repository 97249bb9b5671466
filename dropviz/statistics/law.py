"""The 1/k law: how the squared norm of a step's gradient falls with the number of masks it is a mean over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropviz.statistics.samples import with_error
from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor

MASKS = 8
NUMBERS = (1, 2, 4, 8)


def measure(moment: Moment) -> dict[str, Tensor]:
    """``law/k1``, ``law/k2``, ``law/k4`` and ``law/k8``: E‖g_k‖² of the gradient over k masks of one minibatch, ± standard error.

    The law says ‖∇ℓ_drop‖² + minibatch part + mask part / k (section 5 of the paper): ``law/predicted1`` and so on, from two
    other masks a minibatch, those of ``noise``. Minibatches that are smaller than a step's are left as they are, on both
    sides. Cost: ``MASKS`` + 2 gradients a minibatch.
    """
    g = moment.gradients("law", MASKS)
    one, other = moment.gradients("noise", 2).unbind(2)
    lasting, masks = (one * other).sum(-1), (one - other).square().sum(-1) / 2  # (S, minibatches)
    found: dict[str, Tensor] = {}
    for k in NUMBERS:
        groups = g.unflatten(2, (MASKS // k, k)).mean(3)
        found |= with_error(f"law/k{k}", groups.square().sum(-1).mean(-1).unbind(1))
        found |= with_error(f"law/predicted{k}", (lasting + masks / k).unbind(1))
    return found


statistic = Statistic(name="law", groups=("law",), tier="refresh", measure=measure)
