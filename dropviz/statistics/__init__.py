"""Statistics: what is observed while training, one file each.

A statistic measures on a fixed probe of the training split at ε = 0, draws its random numbers from streams
of its own, and never changes training.
"""

from dropviz.registry import modules_of
from dropviz.statistics.statistic import LANCZOS_STEPS, Moment, Statistic

__all__ = ["LANCZOS_STEPS", "Moment", "Statistic", "statistics"]


def statistics() -> list[Statistic]:
    """Every statistic: the ``statistic`` of each module of this folder, in order of their names."""
    return [module.statistic for module in modules_of(__name__) if hasattr(module, "statistic")]
