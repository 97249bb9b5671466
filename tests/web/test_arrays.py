"""Arrays at a step, from the store to the route: which there are, what travels, and for how long it is kept."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette

from dropviz.analysis import density
from dropviz.experiment import ExperimentSpec
from dropviz.store import SnapshotName, Store
from dropviz.web import live
from dropviz.web.arrays import Index
from dropviz.web.feed import Cursor
from dropviz.web.reader import Reader


@pytest.fixture
def app(store: Store) -> Starlette:
    return Starlette(routes=[live.route, live.array_route])


def refresh(arm: str, seeds: int) -> dict[str, np.ndarray]:
    """What a refresh of this arm leaves, with numbers of its own."""
    random = np.random.default_rng(len(arm))
    weights = random.dirichlet(np.ones(6), seeds)
    nodes = random.normal(size=(seeds, 6)) * 10
    losses = random.uniform(0.1, 3, (1, 3, 3))
    axes = np.stack([np.linspace(-0.25, 0.25, 3), np.linspace(-2, 2, 3)])[None]
    return {
        "spectrum/density": np.stack([nodes, weights], -1).astype(np.float32),
        "slice/loss": losses.astype(np.float32),
        "slice/axes": axes.astype(np.float32),
        "surface": np.full((2, 3), len(arm), np.uint8),
    }


def train(store: Store, engine: Any, spec: ExperimentSpec, arms: int) -> str:
    """Refreshes at steps 0 and 20 of the first so many arms."""
    view_id = store.submit(spec)
    for _ in range(arms):
        claim = engine.start()
        for step in (0, 20):
            engine.write(claim, step, refresh(claim.arm, len(claim.seeds)))
        engine.finish(claim)
    return view_id


def test_an_array_is_there_once_all_the_jobs_that_it_needs_have_it() -> None:
    index = Index({"none": [(1, 0), (2, 0)], "dropout": [(3, 0)]})
    names = [SnapshotName(seq=0, step=5, name=name) for name in ("spectrum/density", "slice/loss", "sample")]
    index.add(1, names)
    assert index.entries == [(0, "slice", 5)]
    index.add(2, names)
    index.add(3, names[:1])
    index.add(3, names[:1])
    assert index.entries == [(0, "slice", 5), (0, "density", 5), (1, "density", 5)]


def test_the_payload_of_the_page_says_which_arrays_there_are_and_the_lab_s_does_not(
    app: Starlette, store: Store, engine, get, spec
) -> None:
    view_id = train(store, engine, spec, arms=1)
    payload = json.loads(get(app, f"/live/{view_id}", query="page=curvature").body)
    assert sorted(payload["arrays"]) == sorted(
        [0, kind, step] for kind in ("density", "slice", "surface") for step in (0, 20)
    )
    assert "arrays" not in json.loads(get(app, f"/live/{view_id}", query="page=lab").body)


def test_a_density_is_the_mean_over_seeds_on_the_grid(app, store: Store, engine, get, spec) -> None:
    view_id = train(store, engine, spec, arms=3)
    found = json.loads(get(app, f"/arrays/{view_id}/density/20").body)
    assert list(found) == list(spec.arms)
    for arm, one in found.items():
        expected = density.averaged(refresh(arm, spec.seeds)["spectrum/density"])
        assert expected is not None
        shown = np.zeros(len(expected))
        shown[one["first"] : one["first"] + len(one["values"])] = one["values"]
        np.testing.assert_allclose(shown, expected, rtol=1e-2, atol=1e-12)


def test_a_slice_and_a_surface_are_those_of_the_first_seed(app, store: Store, engine, get, spec) -> None:
    view_id = train(store, engine, spec, arms=3)
    one = json.loads(get(app, f"/arrays/{view_id}/slice/0").body)["dropout"]
    np.testing.assert_allclose(one["loss"], refresh("dropout", spec.seeds)["slice/loss"][0], rtol=1e-3)
    assert (one["seed"], one["reach"]) == (spec.first_seed, [0.25, 2.0])
    picture = json.loads(get(app, f"/arrays/{view_id}/surface/0").body)["dropout"]
    assert base64.b64decode(picture["data"]) == bytes([len("dropout")] * 6)


def test_a_browser_keeps_what_cannot_change_and_nothing_else(app, store: Store, engine, get, spec) -> None:
    view_id = train(store, engine, spec, arms=2)
    answer = get(app, f"/arrays/{view_id}/density/0")
    assert (answer.status, list(json.loads(answer.body))) == (200, ["none", "dropout"])
    assert answer.header("cache-control") == "no-store"
    claim = engine.start()
    engine.write(claim, 0, refresh(claim.arm, len(claim.seeds)))
    answer = get(app, f"/arrays/{view_id}/density/0")
    assert list(json.loads(answer.body)) == list(spec.arms)
    assert answer.header("cache-control") == "private, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("{}/density/7", 404, "There is no density at step 7 of this experiment."),
        ("{}/density/x", 400, "'density' at step 'x' is not possible: ask for density, slice, surface"),
        ("{}/weights/0", 400, "'weights' at step '0' is not possible"),
        ("{}/density/-1", 400, "is not possible"),
        ("{}/density/12345678901", 400, "is not possible"),
        ("{}/density/٣", 400, "is not possible"),
        ("nonsense/density/0", 400, "'nonsense' is not an experiment's id"),
        ("0" * 32 + "/density/0", 404, "There is no experiment"),
    ],
)
def test_refusals_are_one_sentence_that_nobody_keeps(
    app: Starlette, store: Store, engine, get, spec, path: str, status: int, said: str
) -> None:
    answer = get(app, "/arrays/" + path.format(train(store, engine, spec, arms=1)))
    assert answer.status == status
    assert said in json.loads(answer.body)["error"]
    assert answer.header("cache-control") == "no-store"


def test_a_density_that_is_not_finite_is_empty(app, store: Store, engine, get, spec) -> None:
    view_id = store.submit(spec)
    claim = engine.start()
    engine.write(claim, 0, {"spectrum/density": np.full((3, 6, 2), np.nan, np.float32)})
    assert json.loads(get(app, f"/arrays/{view_id}/density/0").body) == {"none": {"first": 0, "values": []}}


def test_pages_get_the_metrics_that_they_draw_under_numbers_of_their_own(store: Store, engine, spec) -> None:
    """And answer by answer, they add up to what a newcomer gets."""
    reader = Reader(store, store.submit(spec))
    claim = engine.start()
    rows: list[Any] = []
    cursor = None
    for step in (0, 10, 20):
        engine.train(claim, [step])
        seeds = np.arange(3.0)
        engine.write(claim, step, {"layers/a/hessian_trace": seeds, "curvature/hessian_trace": seeds + step})
        answer = json.loads(reader.read(cursor, "curvature"))
        rows += [[answer["metrics"][metric], *rest] for _, metric, *rest in answer["rows"]]
        cursor = Cursor.parse(answer["cursor"])
    full = json.loads(reader.read(None, "curvature"))
    assert full["metrics"] == ["layers/a/hessian_trace", "curvature/hessian_trace"]
    assert [[full["metrics"][metric], *rest] for _, metric, *rest in full["rows"]] == rows
    assert [row[1] for row in rows] == [0, 0, 10, 10, 20, 20]
    lab = json.loads(reader.read(None, "lab"))
    assert "layers/a/hessian_trace" not in lab["metrics"]
    assert {"train/objective", "validation/loss", "curvature/hessian_trace"} <= set(lab["metrics"])
    assert len(json.loads(reader.read(None))["rows"]) == len(rows) + 9
