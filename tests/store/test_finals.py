"""The last values of finished results, against the whole series."""

from __future__ import annotations

import numpy as np
import pytest

from dropviz.experiment import ExperimentSpec
from dropviz.export import finished_values, series_of
from dropviz.store import Point, Store, UnknownExperiment


def train(store: Store, value: float) -> int:
    claim = store.claim("worker")
    assert claim is not None
    store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
    seeds = np.array(claim.seeds, dtype=float)
    points = [
        Point(
            seq=seq,
            step=10 * (seq // 2),
            name=("validation/loss", "validation/accuracy")[seq % 2],
            values=seeds + seq + value,
        )
        for seq in range(10)
    ]
    store.append(claim.job_id, claim.attempt, points, step=40)
    assert store.finish(claim.job_id, claim.attempt, "done")
    return claim.job_id


def test_they_are_the_last_points_of_what_is_done(store: Store, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec.with_settings(['arms=["none", "dropout"]']))
    assert store.finals(view_id) == {}
    train(store, 0.5)
    train(store, 0.25)
    experiment = store.experiment(view_id)
    assert store.finals(view_id) == finished_values(experiment, series_of(store, experiment))
    assert len(store.finals(view_id)) == 2
    assert store.finals(view_id) == store.finals(view_id)
    some = store.finals(view_id, {"validation/loss", "test/loss"})
    assert some == {
        arm: {"validation/loss": metrics["validation/loss"]} for arm, metrics in store.finals(view_id).items()
    }


def test_an_unknown_experiment_has_none(store: Store) -> None:
    with pytest.raises(UnknownExperiment):
        store.finals("0" * 32)
