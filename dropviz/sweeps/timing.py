"""How long a sweep takes here: from what a few of its cells cost, which is measured, and what is computed already. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dropviz.budget import activations, seed_blocks, seeds_together
from dropviz.duration import Costs, job_seconds, place_jobs
from dropviz.experiment import ExperimentSpec
from dropviz.sweeps.knobs import Value
from dropviz.sweeps.sweep import Sweep

MOST_MEASURED = 3  # cells, whose costs the others' are worked out from
MOST_KINDS = 6
Measured = Mapping[int, Mapping[str, Costs]]
Missing = Sequence[Mapping[str, Sequence[int]]]  # of each cell: arm → seeds


@dataclass(frozen=True, kw_only=True)
class SweepDuration:
    """What a sweep takes.

    Attributes:
        seconds: Until its last job has ended, if nothing else takes slots.
        jobs: That are left to do.
        computed: Seeds of arms that are there already, and ``asked``: all of them.
    """

    seconds: float
    jobs: int
    computed: int
    asked: int


def representatives(sweep: Sweep) -> list[int]:
    """The cells whose costs are measured: the cheapest, the dearest and one between; where words are varied, one of each kind."""
    kinds: dict[tuple[Value, ...], dict[float, int]] = {}
    for position, (place, cell) in enumerate(zip(sweep.places(), sweep.cells(), strict=True)):
        kinds.setdefault(_words(place), {}).setdefault(work(cell), position)
    if len(kinds) > 1:
        chosen = [sorted(found.items())[len(found) // 2][1] for found in kinds.values()]
        return chosen[:MOST_KINDS]
    (found,) = kinds.values()
    ordered = sorted(found)
    if len(ordered) <= MOST_MEASURED:
        return [found[size] for size in ordered]
    middle = (ordered[0] + ordered[-1]) / 2
    between = min(ordered[1:-1], key=lambda size: abs(size - middle))
    return [found[size] for size in (ordered[0], between, ordered[-1])]


def _words(place: tuple[Value, ...]) -> tuple[Value, ...]:
    """The values of a cell that are no numbers, whose costs nothing can be said of but by measuring."""
    return tuple(
        value
        for value in place
        if isinstance(value, str | bool) or (isinstance(value, list) and isinstance(value[0], str))
    )


def work(spec: ExperimentSpec) -> float:
    """What a step of all arms does, in multiplications; only to compare cells with."""
    return float(sum(_work(spec, arm) for arm in spec.arms))


def _work(spec: ExperimentSpec, arm: str) -> float:
    task, seeds = spec.data.task, len(seed_blocks(spec.seed_list(), seeds_together(spec, arm))[0])
    units = max(1, spec.model.units(task))
    return seeds * activations(spec, arm) * (1 + spec.model.multiplications(task) / units)


def sweep_duration(sweep: Sweep, measured: Measured, missing: Missing, slots: int) -> SweepDuration:
    """Place the jobs that are missing on so many slots.

    Args:
        sweep: What is asked for.
        measured: Position → costs by arm, of the representatives. A cell between two of them costs what lies between, by its
            work; an arm is found by its place, as k may be what is varied.
        missing: What nobody has computed yet, of each cell.
        slots: Jobs at once.
    """
    taken: list[float] = []
    asked = computed = 0
    known = _Known(sweep, measured)
    for position, (cell, left) in enumerate(zip(sweep.cells(), missing, strict=True)):
        for number, arm in enumerate(cell.arms):
            seeds = left[arm]
            asked, computed = asked + cell.seeds, computed + cell.seeds - len(seeds)
            if seeds:
                blocks = seed_blocks(seeds, seeds_together(cell, arm))
                taken += [job_seconds(cell, known.between(position, number))] * len(blocks)
    return SweepDuration(seconds=place_jobs(taken, slots), jobs=len(taken), computed=computed, asked=asked)


class _Known:
    """The costs of a few cells, and by them those of the others."""

    def __init__(self, sweep: Sweep, measured: Measured) -> None:
        self._cells, self._measured = sweep.cells(), measured
        self._kinds = [_words(place) for place in sweep.places()]
        self._points: dict[tuple[tuple[Value, ...], int], tuple[list[float], np.ndarray]] = {}

    def between(self, position: int, number: int) -> Costs:
        """Costs of an arm of a cell: linear in its work between those that are measured, and beyond them as the nearest."""
        of = self._kinds[position], number
        if of not in self._points:
            self._points[of] = self._near(*of)
        x, values = self._points[of]
        cell = self._cells[position]
        at = _work(cell, cell.arms[number])
        return Costs.of_values(np.interp(at, x, column) for column in values.T)

    def _near(self, kind: tuple[Value, ...], number: int) -> tuple[list[float], np.ndarray]:
        """Work and costs of an arm where it was measured, by its work: in cells of this kind, or in all where none is."""
        points = []
        for other in [one for one in self._measured if self._kinds[one] == kind] or list(self._measured):
            arms = self._cells[other].arms
            arm = arms[min(number, len(arms) - 1)]
            points.append((_work(self._cells[other], arm), self._measured[other][arm].to_values()))
        points.sort()
        return [size for size, _ in points], np.array([found for _, found in points])
