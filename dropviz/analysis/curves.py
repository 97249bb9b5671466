"""Curves over the seeds of an arm: joined, smoothed, with their band, thinned for drawing, and read at a place in between.

Shapes: n points, S seeds. A curve's values are (n, S), a column a seed. Nothing here knows where curves come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dropviz import analysis

EVERY = 3  # points of a bin that are kept: its smallest, its largest and its last one


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One metric of one arm: steps (n,), values (n, S) and whose they are."""

    steps: np.ndarray
    values: np.ndarray
    seeds: tuple[int, ...]

    @property
    def stop(self) -> int | None:
        """The first step at which a seed's value is no finite number; None where all are."""
        wrong = np.flatnonzero(~np.isfinite(self.values).all(axis=1))
        return int(self.steps[wrong[0]]) if len(wrong) else None

    def finite(self) -> Curve:
        """The curve up to where it stops."""
        wrong = np.flatnonzero(~np.isfinite(self.values).all(axis=1))
        kept = slice(0, int(wrong[0]) if len(wrong) else None)
        return Curve(steps=self.steps[kept], values=self.values[kept], seeds=self.seeds)


@dataclass(frozen=True, kw_only=True)
class Band:
    """What is drawn of a curve: mean and 95 % t interval over seeds at each kept step, NaN where there is no interval."""

    steps: np.ndarray
    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    seeds: int


def joined(parts: Sequence[Curve]) -> Curve:
    """The seeds of several blocks side by side, in order of the seeds, at the steps that all blocks have."""
    if not parts:
        return Curve(steps=np.zeros(0, dtype=np.int64), values=np.zeros((0, 0)), seeds=())
    steps = parts[0].steps
    for part in parts[1:]:
        steps = np.intersect1d(steps, part.steps)
    columns = [part.values[np.searchsorted(part.steps, steps)] for part in parts]
    seeds = [seed for part in parts for seed in part.seeds]
    order = np.argsort(seeds, kind="stable")
    return Curve(steps=steps, values=np.concatenate(columns, axis=1)[:, order], seeds=tuple(sorted(seeds)))


def smoothed(values: np.ndarray, weight: float) -> np.ndarray:
    """An exponential moving average along the points, without the bias towards its start (Kingma & Ba 2015, section 3).

    Args:
        values: (n, …), all finite.
        weight: Of the past, from 0 (nothing happens) to below 1.
    """
    if weight == 0 or not len(values):
        return values
    found, average = np.empty_like(values, dtype=np.float64), np.zeros(values.shape[1:])
    for place, value in enumerate(values):
        average = weight * average + (1 - weight) * value
        found[place] = average / (1 - weight ** (place + 1))
    return found


def band(curve: Curve, *, smoothing: float = 0.0) -> Band:
    """Mean and interval over seeds; smoothing is of each seed's own curve, before anything else."""
    finite = curve.finite()
    if not finite.values.size:
        nothing = np.zeros(0)
        return Band(
            steps=finite.steps[:0], mean=nothing, lower=nothing, upper=nothing, seeds=len(curve.seeds)
        )
    mean, lower, upper = analysis.mean_intervals(smoothed(finite.values, smoothing))
    return Band(steps=finite.steps, mean=mean, lower=lower, upper=upper, seeds=len(curve.seeds))


def thinned(found: Band, last_step: int, most: int) -> Band:
    """At most about ``most`` points of a band, which hold its shape: the extremes of its mean in even bins of steps.

    The bins depend on ``last_step`` and ``most`` alone, so what is kept of a full bin stays when points are added.
    """
    if len(found.steps) <= most:
        return found
    bins = max(1, most // EVERY)
    place = np.minimum(found.steps * bins // max(1, last_step), bins)  # the last step has a bin of its own
    starts = np.flatnonzero(np.r_[True, place[1:] != place[:-1]])
    ends = np.r_[starts[1:], len(place)]
    kept = {0}
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        part = found.mean[start:end]
        kept |= {start + int(part.argmin()), start + int(part.argmax()), end - 1}
    rows = np.array(sorted(kept))
    return Band(
        steps=found.steps[rows],
        mean=found.mean[rows],
        lower=found.lower[rows],
        upper=found.upper[rows],
        seeds=found.seeds,
    )


def at_step(curve: Curve, step: float) -> dict[int, float]:
    """Seed → its value at a step between two points, on the line between them; NaN beyond the ends.

    Cost: one look at the two points around the step.
    """
    if not len(curve.steps) or not curve.steps[0] <= step <= curve.steps[-1]:
        return dict.fromkeys(curve.seeds, float("nan"))
    right = int(np.searchsorted(curve.steps, step))
    if curve.steps[right] == step:
        return dict(zip(curve.seeds, curve.values[right].tolist(), strict=True))
    before, after = curve.steps[right - 1], curve.steps[right]
    share = (step - before) / (after - before)
    values = (1 - share) * curve.values[right - 1] + share * curve.values[right]
    return dict(zip(curve.seeds, values.tolist(), strict=True))
