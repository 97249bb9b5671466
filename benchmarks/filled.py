"""A store filled with runs that nobody trained: curves as long and as many as a page may have to show."""

from __future__ import annotations

import numpy as np

from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Point, Store

ARMS = ("none", "dropout")
METRICS = ("validation/accuracy", "validation/loss", "train/objective")
AT_ONCE = 4000  # points a transaction


def fill(store: Store, owner: str, *, runs: int, points: int, metrics: int, seeds: int = 4) -> list[str]:
    """So many finished runs of two arms, each metric with so many points; returns their ids."""
    names = [*METRICS, *(f"statistic/{number}" for number in range(metrics - len(METRICS)))]
    made = []
    for run in range(runs):
        made.append(store.submit(_spec(run, points, seeds), owner=owner, fresh=True))
        while claim := store.claim("benchmark"):
            store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
            _train(store, claim.job_id, claim.attempt, names, points, seeds)
            store.finish(claim.job_id, claim.attempt, "done")
    return made


def _spec(run: int, points: int, seeds: int) -> ExperimentSpec:
    """Runs differ in their drop probability, so that all pair."""
    steps, arms = points - 1, list(ARMS)
    settings = [f"arms={arms}", f"p={0.1 + 0.8 * run / 1000:g}", f"seeds={seeds}", f"train.steps={steps}"]
    return preset("noisy-digits").with_settings([*settings, f"observe.evaluations={min(1000, steps)}"])


def _train(store: Store, job_id: int, attempt: int, names: list[str], points: int, seeds: int) -> None:
    random = np.random.default_rng(job_id)
    values = np.cumsum(random.standard_normal((points, len(names), seeds)), axis=0) / points + 0.5
    records = [
        Point(seq=step * len(names) + place, step=step, name=name, values=values[step, place])
        for step in range(points)
        for place, name in enumerate(names)
    ]
    last = len(records)
    test = ("test/accuracy", "test/loss")
    records += [
        Point(seq=last + place, step=points - 1, name=name, values=values[-1, place])
        for place, name in enumerate(test)
    ]
    for first in range(0, len(records), AT_ONCE):
        store.append(job_id, attempt, records[first : first + AT_ONCE], step=points - 1)
    store.append(job_id, attempt, seconds={"training": 1.0})
