"""The explicit regularizer on the probe: by formula, exact, and by definition, by Monte Carlo."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor


MOST_OUTPUTS = 10  # of independent rows: more take an estimate, as do the tokens of a text
SAMPLES = 4  # of the estimate


def measure(moment: Moment) -> dict[str, Tensor]:
    """R_approx ± standard error, and R = E_ε ℓ(z(ε)) − ℓ(z(0)) ± standard error over masks; for every arm, dropout or not."""
    from dropviz.regularizers import exact_regularizer, monte_carlo

    draws = moment.draws("regularizer", moment.probe)
    samples = monte_carlo(moment.probe, draws, masks=moment.masks)
    found = {
        "regularizer/monte_carlo": samples.mean(-1),
        "regularizer/monte_carlo_se": samples.std(-1) / sqrt(moment.masks),
    }
    if moment.probe.by_row and moment.outputs <= MOST_OUTPUTS:
        exact = exact_regularizer(moment.probe).detach()
        return {"term/explicit": exact, "term/explicit_se": exact * 0} | found
    estimates = _estimates(moment)
    return {
        "term/explicit": estimates.mean(-1),
        "term/explicit_se": estimates.std(-1) / sqrt(SAMPLES),
    } | found


def _estimates(moment: Moment) -> Tensor:
    """The last site in closed form where that is possible, root-Hessian at the others: (S, SAMPLES)."""
    import torch

    from dropviz.regularizers import explicit_shares

    draws = moment.draws("regularizer/formula", moment.probe)
    watch = moment.probe.watch()
    z = moment.probe.forward(watch)
    found = []
    for index in range(SAMPLES):
        shares = explicit_shares(moment.probe, z, watch, draws.sample(index))
        found.append(torch.stack(list(shares.values())).sum(0).detach())
    return torch.stack(found, dim=-1)


statistic = Statistic(
    name="regularizer",
    metrics=("term/explicit", "term/explicit_se", "regularizer/monte_carlo", "regularizer/monte_carlo_se"),
    measure=measure,
)
