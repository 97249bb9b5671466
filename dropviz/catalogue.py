"""What the extensions bring, and what is wrong with them: looks at every kind of part once. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dropviz import extensions


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What one extension brings.

    Attributes:
        origin: The file, or the package and its version.
        parts: (kind, name) of each data set, model, arm, statistic and chart.
        problems: A sentence for each thing that cannot be used.
        changed: Whether its files were changed since they were loaded.
    """

    origin: str
    parts: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    changed: bool


def brought() -> list[Brought]:
    """Each extension that the settings name, whether it can be used or not."""
    if not extensions.extensions():
        return []
    parts: dict[str, list[tuple[str, str]]] = {}
    for module, kind, name in _parts():
        parts.setdefault(module, []).append((kind, name))
    found = []
    for one in extensions.extensions():
        of_it = tuple(parts.get(one.module.__name__, ())) if one.module else ()
        if not of_it and not one.problems and not hasattr(one.module, "__path__"):
            one.refuse(
                "defines no data set, model, strategy, statistic or chart; what others import begins with _"
            )
        found.append(
            Brought(origin=one.origin, parts=of_it, problems=tuple(one.problems), changed=one.changed)
        )
    return found


def problems() -> list[str]:
    """A sentence for each thing that cannot be used."""
    return [problem for one in brought() for problem in one.problems]


def _parts() -> Iterator[tuple[str, str, str]]:
    """(module, kind, name) of everything that there is, this program's own included."""
    from dropviz import charts, datasets, models, statistics
    from dropviz.strategies.strategy import families

    for name, data in datasets.registry.members.items():
        yield data.__module__, "data set", name
    for name, model in models.registry.members.items():
        yield model.__module__, "model", name
    for family in families():
        yield from ((family.__module__, "arm", name) for name in family.examples)
    for module, statistic in statistics.sources().items():
        yield module, "statistic", statistic.name
    for module, chart in charts.sources().items():
        yield module, "chart", chart.name
