"""In which order the cells of a sweep are computed: so that a coarse picture of all is there first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import product

from dropviz.sweeps.sweep import Sweep


def in_order(sweep: Sweep, positions: Collection[int]) -> list[int]:
    """These places of ``Sweep.cells()``, the coarse picture's first."""
    return sorted(positions, key=coarse_first(sweep.shape).__getitem__)


def coarse_first(shape: Sequence[int]) -> list[int]:
    """The rank of each cell when the ends of every axis come first, then the middles, then what is between."""
    places = list(product(*map(_ranks, shape)))
    order = sorted(range(len(places)), key=lambda place: (max(places[place]), sum(places[place]), place))
    ranks = [0] * len(order)
    for rank, place in enumerate(order):
        ranks[place] = rank
    return ranks


def _ranks(count: int) -> list[int]:
    """0 for both ends, 1 for the middle, 2 for those between these, …"""
    ranks, spans, level = [0] * count, [(0, count - 1)], 1
    while spans:
        below = []
        for low, high in spans:
            if high - low > 1:
                middle = (low + high) // 2
                ranks[middle] = level
                below += [(low, middle), (middle, high)]
        spans, level = below, level + 1
    return ranks
