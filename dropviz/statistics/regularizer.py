"""The explicit regularizer on the probe: by formula, exact, and by definition, by Monte Carlo."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor


def measure(moment: Moment) -> dict[str, Tensor]:
    """R_approx, and R = E_ε ℓ(z(ε)) − ℓ(z(0)) ± standard error over masks; for every arm, dropout or not."""
    from dropviz.regularizers import exact_regularizer, monte_carlo

    draws = moment.draws("regularizer", moment.probe.y.shape[1])
    samples = monte_carlo(moment.probe, draws, masks=moment.masks)
    return {
        "term/explicit": exact_regularizer(moment.probe).detach(),
        "regularizer/monte_carlo": samples.mean(-1),
        "regularizer/monte_carlo_se": samples.std(-1) / sqrt(moment.masks),
    }


statistic = Statistic(
    name="regularizer",
    metrics=("term/explicit", "regularizer/monte_carlo", "regularizer/monte_carlo_se"),
    measure=measure,
)
