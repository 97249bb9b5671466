"""The Curvature page against a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dropviz.charts import Subject, charts
from dropviz.store import Store
from tests.web.looking import carry, pressable, run_in_url, texts


def test_the_curvature_page_opens_on_the_example_of_the_lab(
    visit, boards, results: Path, store, engine, spec
) -> None:
    carry(results, store, engine, spec, "noisy-digits")
    app = visit("3_Curvature")
    assert not app.exception
    (shown,) = boards(app)
    assert (shown["view"], shown["state"], shown["page"]) == ("example-noisy-digits", "example", "curvature")
    names = [chart["name"] for chart in json.loads(shown["charts"])]
    assert names == [chart.name for chart in charts("curvature") if chart.shown(Subject.of(spec))]
    assert shown["samples"] is None
    assert "run" not in app.query_params


def test_without_any_result_the_curvature_page_says_where_to_begin(visit, boards, results: Path) -> None:
    app = visit("3_Curvature")
    assert not app.exception
    assert "Press **Run** in the Lab" in texts(app)
    assert boards(app) == []


def test_the_curvature_page_shows_the_run_of_the_url_and_remembers_it(
    visit, boards, store: Store, spec
) -> None:
    view_id = store.submit(spec.with_settings(["observe.refreshes=4"]))
    app = visit("3_Curvature", run=view_id)
    assert not app.exception
    (shown,) = boards(app)
    assert (shown["view"], shown["state"], shown["arm"], shown["steps"]) == (view_id, "queued", "dropout", 40)
    assert spec.title() in shown["heading"]["title"]
    assert (shown["notice"], shown["refreshes"]) == ("", 4)
    assert pressable(app) == {"This run in the Lab"}
    del app.query_params["run"]
    app.session_state["arrived"] = True  # as ``main`` finds
    app.run()
    assert run_in_url(app) == view_id


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["observe.refreshes=0"], "This run has no curvature refreshes"),
        (["observe.refreshes=0", "observe.statistics=0"], "This run measures no statistics"),
        (["observe.refreshes=3", "observe.statistics=0"], "This run measures only refreshes"),
    ],
)
def test_what_a_run_did_not_measure_is_said_with_how_to_get_it(
    visit, boards, store: Store, spec, settings: list[str], said: str
) -> None:
    app = visit("3_Curvature", run=store.submit(spec.with_settings(settings)))
    notice = boards(app)[0]["notice"]
    assert notice.startswith(said)
    assert "n the Lab, under Observation and statistics" in notice


def test_an_unknown_run_is_unknown_on_the_curvature_page_too(visit, boards, store: Store) -> None:
    app = visit("3_Curvature", run="0" * 32)
    assert not app.exception
    assert "This run is not here" in texts(app)
    assert boards(app) == []
