"""Curves of many people's runs in one band: rows that change as runs come in. No store, no web."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from dropviz.charts import reads
from dropviz.experiment import ExperimentSpec, evaluation_interval
from dropviz.store import Point
from dropviz.web.aggregate import Thinning, read_once, stride_of, summary
from dropviz.web.rows import Row

Key = tuple[str, str, int | None]  # arm, metric, step; of what is read once a seed, no step


class Pool:
    """The rows of all seeds that have come in, an arm's whole curve at once, so that a band has the same seeds at each step.

    Settling costs a mean for each row of the arms that have got something, however many runs came in; memory grows by eight
    bytes a value.

    Args:
        spec: The experiment that all of them ran.

    Attributes:
        arms: Of all runs, those of the spec first.
        metrics: Those that the Lab draws.
        seeds: Arm → its seeds, as they came.
        rows: Mean and interval of each arm, metric and step; none where some seed has no value, having stopped early.
        ladder: As that of an ``Aggregate``.
        revision: Grows with each run.
    """

    def __init__(self, spec: ExperimentSpec) -> None:
        self.arms = list(spec.arms)
        self.metrics: list[str] = []
        self.seeds: dict[str, list[int]] = {}
        self.rows: list[Row] = []
        score = spec.data.task.score
        self.ladder: dict[str, dict[str, dict[int, np.ndarray]]] = {
            f"{split}/{score}": {} for split in ("validation", "test")
        }
        self.revision = 0
        self._thinning = Thinning(
            stride=stride_of(spec.observe.evaluations),
            interval=evaluation_interval(spec),
            last_step=spec.train.steps,
        )
        self._values: dict[Key, list[np.ndarray]] = {}
        self._steps: dict[Key, int] = {}
        self._rows: dict[Key, int] = {}
        self._unsettled: set[str] = set()
        self._changed: list[int] = []  # the revision at which each row last changed

    def add(self, arm: str, seeds: Sequence[int], positions: Sequence[int], points: Iterable[Point]) -> None:
        """Take the curve of an arm; its rows follow with ``settle``.

        Args:
            arm: Its name.
            seeds: That nobody has brought before.
            positions: Where each of them is found among the values of a point.
            points: All there are.
        """
        if arm not in self.arms:
            self.arms.append(arm)
        self.seeds.setdefault(arm, []).extend(seeds)
        self.revision += 1
        chosen = list(positions)
        for point in points:
            if not (_drawn(point.name) and self._thinning.keeps(point)):
                continue
            key = (arm, point.name, None if read_once(point.name) else point.step)
            self._values.setdefault(key, []).append(point.values[chosen])
            self._steps[key] = max(point.step, self._steps.get(key, 0))
        self._unsettled.add(arm)

    def settle(self) -> None:
        """Work out the rows of the arms that have got something."""
        for key in [key for key in self._values if key[0] in self._unsettled]:
            self._settle(key)
        self._unsettled.clear()

    def since(self, revision: int) -> list[Row]:
        """The rows that have changed since a revision; each stands for the one of its arm, metric and step."""
        return [row for row, at in zip(self.rows, self._changed, strict=True) if at > revision]

    def _settle(self, key: Key) -> None:
        arm, metric, _ = key
        values, step = np.concatenate(self._values[key]), self._steps[key]
        self._values[key] = [values]
        whole = len(values) == len(self.seeds[arm])
        found = summary(metric, values) if whole else (None, None, None)
        if key not in self._rows:
            self._rows[key] = len(self.rows)
            self.rows.append((0, 0, 0, None, None, None))
            self._changed.append(0)
        place = self._rows[key]
        self.rows[place] = (self.arms.index(arm), self._metric(metric), step, *found)
        self._changed[place] = self.revision
        if metric in self.ladder:
            of_arm = self.ladder[metric].setdefault(arm, {})
            if read_once(metric):
                of_arm.clear()
            of_arm[step] = values
            if not whole:
                del of_arm[step]

    def _metric(self, name: str) -> int:
        if name not in self.metrics:
            self.metrics.append(name)
        return self.metrics.index(name)


@lru_cache(maxsize=1024)
def _drawn(metric: str) -> bool:
    return reads("lab", metric) or metric.startswith(("validation/", "test/"))
