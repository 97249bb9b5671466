"""What a run of a lesson found: the values that the lesson looks at, from the store or from a recorded result."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from dropviz.export import series_of
from dropviz.lessons.features import feature_values
from dropviz.lessons.lesson import Lesson
from dropviz.lessons.quantity import Values
from dropviz.store import Experiment, Store

DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of the arms' seeds that are done.

    Attributes:
        values: (arm, metric) → step → seed → value.
        pictures: Arm → the last decision surface of the first seed, (up, across) of 0 to 255; empty where there is none.
        seeds: How many.
    """

    values: Values
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    seeds: int = 0

    @classmethod
    def of_run(cls, store: Store, experiment: Experiment, lesson: Lesson) -> Self:
        """What an experiment has of what the lesson looks at; that is all of it once it is done.

        Cost: it reads all of the experiment's points, tens of milliseconds.
        """
        done = {job.id for job in experiment.jobs if job.state == "done"}
        kept = {(result.arm, result.seed) for result in experiment.results if result.job_id in done}
        wanted = lesson.terms()
        values: dict[tuple[str, str], dict[int, dict[int, float]]] = {}
        for one in series_of(store, experiment):
            if (one.arm, one.metric) in wanted and (one.arm, one.seed) in kept:
                by_step = values.setdefault((one.arm, one.metric), {})
                for step, value in zip(one.steps, one.values, strict=True):
                    by_step.setdefault(step, {})[one.seed] = value
        if lesson.features:
            for key, by_step in feature_values(store, experiment, done).items():
                if key in wanted:
                    values[key] = by_step
        pictures = _pictures(store, experiment) if lesson.pictures else {}
        return cls(values=values, pictures=pictures, seeds=len({seed for _, seed in kept}))

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """The inverse of ``to_table``."""
        seeds = table["seeds"]
        values = {
            (arm, metric): {
                int(step): dict(zip(seeds, column, strict=True)) for step, column in by_step.items()
            }
            for arm, metrics in table["values"].items()
            for metric, by_step in metrics.items()
        }
        pictures = {
            arm: np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8).reshape(shape)
            for arm, (shape, text) in table["pictures"].items()
        }
        return cls(values=values, pictures=pictures, seeds=len(seeds))

    def to_table(self) -> dict[str, Any]:
        """As it stands in a recorded result: arm → metric → step → a value a seed, in six digits."""
        seeds = sorted(
            {seed for by_step in self.values.values() for found in by_step.values() for seed in found}
        )
        values: dict[str, dict[str, dict[str, list[float]]]] = {}
        for (arm, metric), by_step in sorted(self.values.items()):
            columns = {
                str(step): [float(f"{found[seed]:.{DIGITS}g}") for seed in seeds]
                for step, found in sorted(by_step.items())
            }
            values.setdefault(arm, {})[metric] = columns
        pictures = {
            arm: [list(picture.shape), base64.b64encode(zlib.compress(picture.tobytes(), 9)).decode()]
            for arm, picture in self.pictures.items()
        }
        return {"seeds": seeds, "values": values, "pictures": pictures}


def _pictures(store: Store, experiment: Experiment) -> dict[str, np.ndarray]:
    """Of the job of each arm that holds the first seed."""
    first = experiment.spec.first_seed
    jobs = {result.arm: result.job_id for result in experiment.results if result.seed == first}
    found = {arm: store.snapshot(job, "surface") for arm, job in jobs.items()}
    return {arm: snapshot.array for arm, snapshot in found.items() if snapshot is not None}
