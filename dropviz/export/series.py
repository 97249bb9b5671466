"""Every number of an experiment as series: an arm, a seed, a metric."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dropviz.store import Experiment, Point, Result, Store


@dataclass(frozen=True, kw_only=True)
class Series:
    """One metric of one arm at one seed."""

    arm: str
    seed: int
    metric: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


def series_of(store: Store, experiment: Experiment) -> list[Series]:
    """Every series of an experiment, by arm in the spec's order, seed, and first appearance.

    What was measured on request stands where its step is, as on the page.
    """
    points = points_of(store, experiment)
    order = {arm: place for place, arm in enumerate(experiment.spec.arms)}
    found = []
    for result in sorted(experiment.results, key=lambda result: (order[result.arm], result.seed)):
        found += _series_of_result(result, points[result.job_id])
    return found


def points_of(store: Store, experiment: Experiment) -> dict[int, list[Point]]:
    """Job → its points, with those that were measured of its weights on request."""
    points = {job.id: store.points(job.id) for job in experiment.jobs}
    for refresh in store.refresh_jobs(points):
        if refresh.state == "done" and refresh.weights_of is not None:
            points[refresh.weights_of] = _merged(points[refresh.weights_of], store.points(refresh.id))
    return points


def _merged(own: list[Point], measured: Iterable[Point]) -> list[Point]:
    """The points of a job with those of its weights that came later; of one metric at one step, the job's own."""
    there = {(point.name, point.step) for point in own}
    return sorted(
        [*own, *(point for point in measured if (point.name, point.step) not in there)],
        key=lambda point: point.step,
    )


def _series_of_result(result: Result, points: Iterable[Point]) -> list[Series]:
    collected: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        collected.setdefault(point.name, []).append((point.step, float(point.values[result.position])))
    return [
        Series(
            arm=result.arm,
            seed=result.seed,
            metric=metric,
            steps=tuple(step for step, _ in pairs),
            values=tuple(value for _, value in pairs),
        )
        for metric, pairs in collected.items()
    ]


def last_values(series: Iterable[Series]) -> dict[str, dict[str, dict[int, float]]]:
    """Arm → metric → seed → value of the last point."""
    last: dict[str, dict[str, dict[int, float]]] = {}
    for one in series:
        last.setdefault(one.arm, {}).setdefault(one.metric, {})[one.seed] = one.values[-1]
    return last


def finished_values(
    experiment: Experiment, series: Iterable[Series]
) -> dict[str, dict[str, dict[int, float]]]:
    """Arm → metric → seed → last value, of the seeds whose job is done."""
    done = {job.id for job in experiment.jobs if job.state == "done"}
    finished = {(result.arm, result.seed) for result in experiment.results if result.job_id in done}
    return last_values(one for one in series if (one.arm, one.seed) in finished)


def file_name(arm: str) -> str:
    """An arm as part of a file's name, on any system."""
    return re.sub(r"[^\w.+@-]", "_", arm)
