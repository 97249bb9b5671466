"""The explicit regularizer on the probe: by formula, in all and by site, and by definition, by Monte Carlo."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from dropviz.statistics.samples import with_error
from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor


def measure(moment: Moment) -> dict[str, Tensor]:
    """R_approx, and R = E_ε ℓ(z(ε)) − ℓ(z(0)) over masks, each ± standard error; for every arm, dropout or not.

    R_approx takes the last site in closed form where the model has one, and root-Hessian draws, which it shares with the
    Gauss-Newton trace, at the others. Cost: these, and a forward pass a mask.
    """
    import torch

    from dropviz.regularizers import monte_carlo

    shares = _shares(moment)
    found = with_error("term/explicit", [torch.stack(list(draw.values())).sum(0) for draw in shares])
    for site in shares[0]:
        found |= with_error(f"sites/{site}/share", [draw[site] for draw in shares])
    samples = monte_carlo(moment.network, moment.draws("regularizer", moment.network), masks=moment.masks)
    return found | {
        "regularizer/monte_carlo": samples.mean(-1),
        "regularizer/monte_carlo_se": samples.std(-1) / sqrt(moment.masks),
    }


def _shares(moment: Moment) -> list[dict[str, Tensor]]:
    """½ v tr(JᵀH_outJ) of each site, mean over rows: site → (S,), a draw each."""
    probe, network = moment.probe, moment.network
    closed = _last_site(moment)
    return [
        {
            site: closed[site]
            if site in closed
            else network.variances[site] / 2 * probe.watch.slope(site, slope).flatten(1).square().sum(-1)
            for site, slope in root.sites.items()
        }
        for root in probe.roots
    ]


def _last_site(moment: Moment) -> dict[str, Tensor]:
    from dropviz.regularizers import closed_share

    return closed_share(moment.network, moment.probe.z.detach(), moment.probe.watch)


statistic = Statistic(name="regularizer", groups=("term", "regularizer", "sites"), measure=measure)
