"""Points of several jobs into the rows of one experiment: mean and interval over an arm's seeds. No store, no web."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dropviz import analysis
from dropviz.statistics import statistics
from dropviz.store import Point
from dropviz.web.rows import Rows

MOST_POINTS = 1000
DIGITS = 6
STATISTICS = frozenset(group for one in statistics() for group in one.groups)  # few points: all are kept

Place = tuple[int, int]  # (job, position of the seed among the job's values)


@dataclass(frozen=True, kw_only=True)
class Thinning:
    """Which points are kept.

    Attributes:
        stride: Keep every so many evaluation points (see ``stride_of``).
        interval: Steps between two evaluation points.
        last_step: The last step, which is always kept.
    """

    stride: int
    interval: int
    last_step: int

    def keeps(self, point: Point) -> bool:
        """Whether this one is kept; of statistics and of the test split all are."""
        group = point.name.partition("/")[0]
        if group in STATISTICS or read_once(point.name) or point.step == self.last_step:
            return True
        return point.step % (self.stride * self.interval) == 0


class Aggregate:
    """The rows of one experiment, in the order in which they became complete.

    A row is there once all of its arm's seeds have reached its step, whichever jobs they run in.

    Args:
        places: Arm → where each of its seeds is found, in order of the seeds.
        stride: Keep every so many evaluation points (see ``stride_of``).
        interval: Steps between two evaluation points.
        last_step: The last step, which is always kept.
        score: What gains are measured by: ``accuracy`` or ``loss``.

    Attributes:
        ladder: ``validation/score`` and ``test/score`` → arm → step → the value of each seed. The test split is read once
            a seed, at a step of its own where seeds stop early, so its values stand at the last of these.
    """

    def __init__(
        self,
        places: Mapping[str, Sequence[Place]],
        *,
        stride: int,
        interval: int,
        last_step: int,
        score: str = "accuracy",
    ) -> None:
        self.arms = list(places)
        self.metrics: list[str] = []
        self.rows = Rows()
        self.ladder: dict[str, dict[str, dict[int, np.ndarray]]] = {
            f"{split}/{score}": {} for split in ("validation", "test")
        }
        self._places = places
        self._jobs = {arm: sorted({job for job, _ in found}) for arm, found in places.items()}
        self._thinning = Thinning(stride=stride, interval=interval, last_step=last_step)
        self._waiting: dict[tuple[str, str, int], dict[int, Point]] = {}
        self._complete: dict[tuple[str, str], array[int]] = {}  # arm and metric → its steps, ascending

    def add(self, job_id: int, points: Iterable[Point]) -> None:
        """Take the new points of a job."""
        arms = [arm for arm, jobs in self._jobs.items() if job_id in jobs]
        for point in points:
            if not self._thinning.keeps(point):
                continue
            for arm in arms:
                self._take(arm, job_id, point)

    def _take(self, arm: str, job_id: int, point: Point) -> None:
        key = (arm, point.name, 0 if read_once(point.name) else point.step)
        steps = self._complete.get(key[:2], ())
        at = bisect_left(steps, key[2])
        if at < len(steps) and steps[at] == key[2]:
            return
        found = self._waiting.setdefault(key, {})
        found[job_id] = point
        if len(found) < len(self._jobs[arm]):
            return
        del self._waiting[key]
        self._complete.setdefault(key[:2], array("I")).insert(at, key[2])
        step = max(point.step for point in found.values())
        seeds = np.array(
            [found[job].values[position] for job, position in self._places[arm]], dtype=np.float64
        )
        self.rows.append((self.arms.index(arm), self._metric(point.name), step, *summary(point.name, seeds)))
        if point.name in self.ladder:
            self.ladder[point.name].setdefault(arm, {})[step] = seeds

    def sort(self) -> None:
        """Put the rows in order of their steps, where refreshes on request came in later than what they stand between."""
        self.rows.sort()

    def _metric(self, name: str) -> int:
        if name not in self.metrics:
            self.metrics.append(name)
        return self.metrics.index(name)


def read_once(metric: str) -> bool:
    """Whether it is measured once a seed, where that ends."""
    return metric.startswith("test/")


def stride_of(evaluations: int) -> int:
    """Keep every how many-th evaluation point, so that no series has more than ``MOST_POINTS``.

    It depends on the spec alone, so a point that was kept stays.
    """
    return -(-(evaluations + 1) // MOST_POINTS)


def summary(metric: str, seeds: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """Mean and 95 % t interval over seeds; of an estimator's standard errors, that of the mean over seeds."""
    if metric.endswith("_se"):
        return tidy(math.sqrt(float((seeds**2).sum())) / len(seeds)), None, None
    found = analysis.mean_interval(seeds)
    return tidy(found.estimate), tidy(found.lower), tidy(found.upper)


def tidy(value: float | None, digits: int = DIGITS) -> float | None:
    """A number as it travels: a few digits, and null where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def comparison_step(by_arm: Mapping[str, Mapping[int, Any]], last_step: int) -> int | None:
    """The step at which arms are compared: the last one once any arm has reached it, else the latest common one.

    Arms often train one after the other; the sentence must not compare a trained arm with one that just began.
    """
    latest = [max(steps) for steps in by_arm.values() if steps]
    if not latest:
        return None
    return last_step if last_step in latest else min(latest)
