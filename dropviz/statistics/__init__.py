"""Statistics: what is observed while training, one file each.

A statistic measures on a fixed probe of the training split at ε = 0, draws its random numbers from streams
of its own, and never changes training.
"""

from collections.abc import Sequence
from functools import cache

from dropviz.registry import accepted, modules_of
from dropviz.statistics.statistic import LANCZOS_STEPS, Moment, Statistic

__all__ = ["LANCZOS_STEPS", "Moment", "Statistic", "statistics"]


@cache
def sources() -> dict[str, Statistic]:
    """Module → the ``statistic`` of each module of this folder, in order of their names, and after them those of extensions."""
    found = [(one.__name__, one.statistic) for one in modules_of(__name__) if hasattr(one, "statistic")]
    return dict(accepted("statistic", found, lambda pair: pair[0], _fault))


def statistics() -> list[Statistic]:
    """Every statistic."""
    return list(sources().values())


def _fault(pair: tuple[str, Statistic], before: Sequence[tuple[str, Statistic]]) -> str:
    """What is no statistic, or a name or a group of metrics that is another one's."""
    _, found = pair
    if not isinstance(found, Statistic):
        return "`statistic` is no dropviz.statistics.Statistic"
    for _, other in before:
        if found.name == other.name:
            return f"there is one named {found.name!r} already, so give it another name"
        if taken := sorted(set(found.groups) & set(other.groups)):
            return f"metrics named {taken[0]}/… are those of {other.name!r}, so choose another group"
    return ""
