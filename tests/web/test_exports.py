"""The route that hands out files: what it answers, what it refuses and how, and that a browser asks again for nothing."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load
from starlette.applications import Starlette

from dropviz.export import archive
from dropviz.store import Store
from dropviz.web import exports
from dropviz.web.senders import Pace
from dropviz.web.visitor import COOKIE

OWNER = "feedface" * 4


@pytest.fixture
def app(store: Store) -> Starlette:
    return Starlette(routes=[exports.route])


@pytest.fixture
def view_id(store: Store, engine, spec) -> str:
    found = store.submit(spec)
    engine.run_all()
    return found


def test_csv_and_parquet_hold_the_same_rows(app: Starlette, view_id: str, get, spec) -> None:
    csv, parquet = (get(app, f"/export/{view_id}/{name}") for name in ("csv", "parquet"))
    assert (csv.status, parquet.status) == (200, 200)
    one, other = pd.read_csv(io.BytesIO(csv.body)), pd.read_parquet(io.BytesIO(parquet.body))
    pd.testing.assert_frame_equal(one, other, check_exact=True, check_dtype=False)
    assert set(other.arm) == set(spec.arms)
    assert csv.header("content-type").startswith("text/csv")
    name = f'filename="dropviz-digits-mlp-{view_id[:8]}-points.csv"'
    assert csv.header("content-disposition") == f"attachment; {name}"
    assert csv.header("content-length") == str(len(csv.body))


def test_everything_is_one_zip_that_can_be_opened(app: Starlette, view_id: str, get, spec) -> None:
    answer = get(app, f"/export/{view_id}/zip")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as found:
        names = found.namelist()
        assert found.testzip() is None
    assert {"spec.json", "summary.json", "points.csv", "points.parquet", "report.html", "run.json"} <= set(
        names
    )
    assert {f"scripts/{arm}/train.py" for arm in spec.arms} <= set(names)
    assert any(name.startswith("tensorboard/dropout-8/seed-2/") for name in names)
    assert archive.opened(answer.body).spec == spec


def test_a_browser_that_has_a_file_is_not_sent_it_again(
    app: Starlette, view_id: str, get, store, spec
) -> None:
    first = get(app, f"/export/{view_id}/csv")
    tag = first.header("etag")
    again = get(app, f"/export/{view_id}/csv", if_none_match=f"W/{tag}, {tag}")
    assert (again.status, again.body) == (304, b"")
    assert get(app, f"/export/{view_id}/json", if_none_match=tag).status == 200
    store.submit(spec.with_settings(["first_seed=50"]))  # nothing of this run
    assert get(app, f"/export/{view_id}/csv").header("etag") == tag


def test_a_run_under_way_has_another_tag_with_each_point(app: Starlette, store, engine, spec, get) -> None:
    view_id = store.submit(spec)
    claim = engine.start()
    engine.train(claim, [0])
    first = get(app, f"/export/{view_id}/csv").header("etag")
    engine.train(claim, [10])
    assert get(app, f"/export/{view_id}/csv").header("etag") != first


def test_weights_are_stacked_by_seed_and_say_so(
    app: Starlette, view_id: str, get, store: Store, spec
) -> None:
    experiment = store.experiment(view_id)
    for job in experiment.jobs:
        from dropviz.store.records import identity

        of = identity(spec.canonical(), job.arm, job.seeds)
        for step in (20, 40):
            values = np.array(job.seeds, np.float32)[:, None] + np.arange(4, dtype=np.float32) + step
            store.weights.keep(job.id, step, {"weight": values}, of, 1)
    answer = get(app, f"/export/{view_id}/safetensors")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as found:
        assert set(found.namelist()) == {f"{arm}/step-{s}.safetensors" for arm in spec.arms for s in (20, 40)}
        weights = load(found.read("dropout/step-40.safetensors"))["weight"]
    np.testing.assert_array_equal(weights[:, 0], [40, 41, 42])


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        (f"{'0' * 32}/csv", 404, "There is no experiment"),
        ("example-noisy-digits/csv", 400, "is not an experiment's id"),
        ("../../etc/csv", 404, ""),
        (f"{'0' * 32}/pickle", 400, "'pickle' is not a format: choose one of html, csv"),
    ],
)
def test_what_cannot_be_had_is_refused_with_a_sentence(
    app: Starlette, get, path: str, status: int, sentence: str
) -> None:
    answer = get(app, f"/export/{path}")
    assert answer.status == status
    if sentence:
        assert sentence in json.loads(answer.body)["error"]


def test_weights_that_are_not_here_are_said_to_be_elsewhere(app: Starlette, view_id: str, get) -> None:
    answer = get(app, f"/export/{view_id}/safetensors")
    assert answer.status == 409
    assert "No weights of this run are kept here" in json.loads(answer.body)["error"]


def test_a_failure_is_met_calmly_and_logged(app: Starlette, view_id: str, get, monkeypatch, caplog) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("disk")

    monkeypatch.setattr(exports, "make", fail)
    answer = get(app, f"/export/{view_id}/csv")
    assert answer.status == 500
    assert "disk" not in answer.body.decode()
    assert "export failed" in caplog.text


def test_a_report_says_the_headline_the_results_and_how_to_run_it_again(
    app: Starlette, view_id: str, get, spec
) -> None:
    text = get(app, f"/export/{view_id}/html").body.decode()
    assert "<h1>Here dropout gains" in text
    assert "dropviz run --preset" in text
    assert "model.widths" in text
    for arm in spec.arms:
        assert f"<td>{arm}</td>" in text
    assert "src=" not in text.partition("<script>")[0]


def test_a_report_shows_what_somebody_typed_as_text(app: Starlette, store, engine, spec, get) -> None:
    table = spec.to_table() | {"data": {"name": "csv", "file": "</script><img src=x onerror=alert(1)>.csv"}}
    view_id = store.submit(type(spec).from_table(table))
    text = get(app, f"/export/{view_id}/html").body.decode()
    assert "<img src=x" not in text


def test_nothing_is_left_behind_and_the_systems_temporary_folder_is_not_needed(
    app: Starlette, view_id: str, get, data: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none such"))
    (data / "exports").mkdir()
    (data / "exports" / "dropviz-of-a-process-that-was-killed").touch()
    (data / "exports" / "another").touch()
    assert get(app, f"/export/{view_id}/zip").status == 200
    assert [path.name for path in (data / "exports").iterdir()] == ["another"]


def test_a_run_that_was_thrown_away_is_handed_out_in_no_format_until_it_is_taken_back(
    app: Starlette, store: Store, engine, spec, get
) -> None:
    view_id = store.submit(spec, owner=OWNER)
    engine.run_all()
    tag = get(app, f"/export/{view_id}/csv").header("etag")
    store.runs.delete(view_id, OWNER)
    for name in exports.FORMATS:
        for sent in ({}, {"if_none_match": tag}, {"cookie": f"{COOKIE}={OWNER}"}):
            answer = get(app, f"/export/{view_id}/{name}", **sent)
            assert answer.status == 404
            assert "This run was deleted." in json.loads(answer.body)["error"]
    store.runs.restore(view_id, OWNER)
    assert get(app, f"/export/{view_id}/csv").header("etag") == tag


def test_who_asks_too_often_is_told_to_wait_and_nobody_else_is(
    app: Starlette, view_id: str, get, monkeypatch
) -> None:
    monkeypatch.setattr(exports, "PACE", Pace(burst=2, rate=0.001))
    mine, none, other = {"cookie": f"{COOKIE}={OWNER}"}, {}, {"cookie": f"{COOKIE}={'a' * 32}"}
    for sent in (mine, none):
        assert get(app, f"/export/{view_id}/json", **sent).status == 200
        assert get(app, f"/export/{'0' * 32}/json", **sent).status == 404
        refused = get(app, f"/export/{view_id}/json", **sent)
        assert (refused.status, refused.header("cache-control")) == (429, "no-store")
        assert 900 < int(refused.header("retry-after")) <= 1000
        assert "Wait 1,000 s and ask again." in json.loads(refused.body)["error"]
    assert get(app, f"/export/{view_id}/json", **other).status == 200
