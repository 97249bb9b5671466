"""The explicit regularizer on the probe: by formula, exact, and by definition, by Monte Carlo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor


def measure(moment: Moment) -> dict[str, Tensor]:
    """R_approx, and R = E_ε ℓ(z(ε)) − ℓ(z(0)) ± standard error over masks; for every arm, dropout or not."""
    from dropviz.regularizers import explicit_regularizer, measure_explicit_regularizer

    draws = moment.draws("regularizer", moment.probe.y.shape[1])
    mean, error = measure_explicit_regularizer(moment.probe, draws, masks=moment.masks)
    return {
        "term/explicit": explicit_regularizer(moment.probe).detach(),
        "regularizer/monte_carlo": mean,
        "regularizer/monte_carlo_se": error,
    }


statistic = Statistic(
    name="regularizer",
    metrics=("term/explicit", "regularizer/monte_carlo", "regularizer/monte_carlo_se"),
    measure=measure,
)
