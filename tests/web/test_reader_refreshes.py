"""What was measured on request joins the series of its arm."""

from __future__ import annotations

import json

import numpy as np

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from dropviz.web.reader import Reader
from tests.web.viewer import Viewer


def test_a_refresh_on_request_joins_the_series_when_all_blocks_of_its_arm_have_it(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    spec = spec.with_settings(['arms=["none"]', "seeds=70"])
    view_id = store.submit(spec)
    watching = Viewer(Reader(store, view_id))
    claims = [engine.start(), engine.start()]
    for claim in claims:
        engine.train(claim)
        engine.write(claim, 40, {"regularizer/monte_carlo": np.full(35, 1.0)})
        store.weights.keep(claim.job_id, 20, {"w": np.zeros((35, 2), np.float32)}, claim.identity, 1)
        engine.finish(claim)
    watching.poll()
    store.request_refresh(view_id, "none", 20)
    density = np.full((35, 4, 2), 0.25, np.float32)
    found = {
        "spectrum/trace": np.full(35, 3.0),
        "regularizer/monte_carlo": np.full(35, 2.0),
        "spectrum/density": density,
    }
    for blocks_measured in (1, 2):
        claim = engine.start()
        assert claim.kind == "refresh"
        engine.write(claim, 20, found)
        watching.poll()
        engine.finish(claim)
        watching.poll()
        metrics = [watching.latest["metrics"][row[1]] for row in watching.rows]
        assert metrics.count("spectrum/trace") == blocks_measured - 1
    regularizer = watching.latest["metrics"].index("regularizer/monte_carlo")
    assert [(row[2], row[3]) for row in watching.rows if row[1] == regularizer] == [(20, 2.0), (40, 1.0)]
    watching.assert_same_as_newcomer()
    arrays, _ = watching.reader.arrays("density", 20)
    assert list(json.loads(arrays)) == ["none"]


def test_a_row_that_is_there_is_not_doubled(store: Store, engine, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec.with_settings(['arms=["none"]']))
    claim = engine.start()
    engine.train(claim)
    engine.write(claim, 20, {"regularizer/monte_carlo": np.full(3, 1.0)})
    store.weights.keep(claim.job_id, 20, {"w": np.zeros((3, 2), np.float32)}, claim.identity, 1)
    engine.finish(claim)
    store.request_refresh(view_id, "none", 20)
    refresh = engine.start()
    engine.write(refresh, 20, {"regularizer/monte_carlo": np.full(3, 2.0)})
    engine.finish(refresh)
    watching = Viewer(Reader(store, view_id))
    watching.poll()
    regularizer = watching.latest["metrics"].index("regularizer/monte_carlo")
    assert [(row[2], row[3]) for row in watching.rows if row[1] == regularizer] == [(20, 1.0)]
