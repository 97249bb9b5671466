"""Somebody who plays the engine: experiments whose points are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dropviz.experiment import ExperimentSpec
from dropviz.store import Experiment, Point, Store
from dropviz.store.records import Outcome

STEPS = (0, 20, 40)
LEVEL = {"none": 0.60, "dropout": 0.70, "dropout-8": 0.68}


def accuracy(arm: str, seed: int, step: int) -> float:
    """A different number for each arm, seed and step."""
    return LEVEL[arm] + 0.001 * (seed - 5) * (-1) ** seed + step / 1e6


Value = Callable[[str, int, int], float]


def run_next(
    store: Store, value: Value = accuracy, outcome: Outcome = "done", error: str | None = None
) -> str:
    """Play the engine for the next job, whose curves hold this value; returns its arm."""
    claim = store.claim("worker")
    assert claim is not None
    store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
    points = []
    for step in STEPS:
        last = step == STEPS[-1]
        for name in ("train/loss", "validation/accuracy", *(("test/accuracy",) if last else ())):
            values = np.array([value(claim.arm, seed, step) for seed in claim.seeds])
            points.append(Point(seq=len(points), step=step, name=name, values=values))
    store.append(claim.job_id, claim.attempt, points, step=STEPS[-1])
    assert store.finish(claim.job_id, claim.attempt, outcome, error=error)
    return claim.arm


def finished(store: Store, spec: ExperimentSpec, value: Value = accuracy) -> Experiment:
    view_id = store.submit(spec)
    while store.has_queued():
        run_next(store, value)
    return store.experiment(view_id)
