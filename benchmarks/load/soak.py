"""Whether a server that is used for long grows: its processes looked at every ten seconds, and the slope of what they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.load.processes import ROLES
from benchmarks.load.scene import Look

SETTLED = 1 / 3  # of the time, after which it counts: caches are full by then
BLOCKS = (
    12  # neighbouring looks are alike, so means over this many stretches of time are what the interval is of
)
HOUR = 3600.0
NOTHING = 0.005  # of its level, an hour: less is an allocator that fills up; 110 bytes a job would be as much of an engine


@dataclass(frozen=True, kw_only=True)
class Slope:
    """Of something over time, an hour: estimate and 95 % interval; its value at the beginning and the end of what counts."""

    estimate: float
    lower: float
    upper: float
    first: float
    last: float

    @property
    def is_flat(self) -> bool:
        """Whether the interval includes 0, or a slope of next to nothing."""
        nothing = NOTHING * abs(self.first)
        return self.lower <= nothing and self.upper >= -nothing


def slope(seconds: Sequence[float], values: Sequence[float]) -> Slope:
    """The least-squares slope an hour of the last two thirds, with a t interval over means of stretches.

    Args:
        seconds: When each value was found, from 0.
        values: At least three of them have to be in the last two thirds.
    """
    at, found = np.array(seconds) / HOUR, np.array(values, dtype=float)
    kept = at >= at[0] + SETTLED * (at[-1] - at[0])
    at, found = at[kept], found[kept]
    blocks = np.array_split(np.arange(len(at)), min(BLOCKS, len(at)))
    x, y = (np.array([part[block].mean() for block in blocks]) for part in (at, found))
    fit = stats.linregress(x, y)
    half = stats.t.ppf(0.975, len(x) - 2) * fit.stderr if np.ptp(y) else 0.0  # of what never moved
    return Slope(
        estimate=float(fit.slope),
        lower=float(fit.slope - half),
        upper=float(fit.slope + half),
        first=float(y[0]),
        last=float(y[-1]),
    )


def quantities() -> dict[str, tuple[str, Callable[[Look], float]]]:
    """What is looked at → its unit, and how it is found."""
    found: dict[str, tuple[str, Callable[[Look], float]]] = {}
    for role in ROLES:
        found[f"{role}: resident memory"] = "MB", lambda look, role=role: look.processes[role].megabytes  # type: ignore[misc]
        found[f"{role}: open files"] = "", lambda look, role=role: look.processes[role].files  # type: ignore[misc]
        found[f"{role}: threads"] = "", lambda look, role=role: look.processes[role].threads  # type: ignore[misc]
    found["sessions"] = "", lambda look: look.sessions
    found["write-ahead log"] = "MB", lambda look: look.log
    return found
