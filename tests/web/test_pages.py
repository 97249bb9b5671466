"""Each page against a store: what a visitor sees, and what a press of Run does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dropviz.charts import Subject, charts
from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Store
from dropviz.web import board, component, live, main
from dropviz.web.plain import plain
from tests.web.looking import carry, pressable, run_in_url, texts

OTHER = "f" * 32


def test_an_empty_lab_says_how_to_begin(visit, boards, results: Path) -> None:
    app = visit("0_Lab")
    assert not app.exception
    assert "Choose a preset on the left and press **Run**" in texts(app)
    assert pressable(app) == {"Run"}
    assert boards(app) == []


def test_the_lab_opens_on_an_example(visit, boards, results: Path, store, engine, spec) -> None:
    carry(results, store, engine, spec, "noisy-digits")
    app = visit("0_Lab")
    assert not app.exception
    (shown,) = boards(app)
    assert (shown["view"], shown["state"]) == ("example-noisy-digits", "example")
    assert list(shown["styles"]) == list(spec.arms)
    assert pressable(app) == {"Run"}
    assert "run" not in app.query_params
    status, body = live.answer(shown["view"], "")
    assert (status, json.loads(body)["state"]) == (200, "example")


def test_a_preset_without_a_result_shows_none_of_another(
    visit, boards, results: Path, store, engine, spec
) -> None:
    carry(results, store, engine, spec, "noisy-digits")
    app = visit("0_Lab")
    app.selectbox(key="preset/preset:noisy-digits").select("markov-lstm").run()
    assert not app.exception
    assert "markov · lstm" in texts(app)
    assert "Press **Run**" in texts(app)
    assert not boards(app)


def test_the_example_of_the_chosen_preset_comes_before_others(
    visit, boards, results: Path, store, engine, spec
) -> None:
    for name in ("another", "noisy-digits"):
        carry(results, store, engine, spec, name)
    assert boards(visit("0_Lab"))[0]["view"] == "example-noisy-digits"
    (results / "noisy-digits.json").unlink()
    assert boards(visit("0_Lab"))[0]["view"] == "example-another"


State = Callable[[Store, Any, str], None]


def run(store: Store, engine: Any, view_id: str) -> None:
    engine.train(engine.start(), [0, 10])


def fall_silent(store: Store, engine: Any, view_id: str) -> None:
    run(store, engine, view_id)
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE jobs SET heartbeat_at = heartbeat_at - 60 WHERE state = 'running'")


def pause(store: Store, engine: Any, view_id: str) -> None:
    store.request(view_id, "pause")


def stop(store: Store, engine: Any, view_id: str) -> None:
    store.request(view_id, "stop")


def fail(store: Store, engine: Any, view_id: str) -> None:
    engine.finish(engine.start(), "failed", error="It diverged: lower the learning rate.")
    engine.run_all()


def end(store: Store, engine: Any, view_id: str) -> None:
    engine.run_all()


def wait(store: Store, engine: Any, view_id: str) -> None:
    """Nobody takes the job."""


@pytest.mark.parametrize(
    ("reach", "state", "buttons"),
    [
        (wait, "queued", {"Pause", "Stop"}),
        (run, "running", {"Pause", "Stop"}),
        (fall_silent, "stalled", {"Pause", "Stop"}),
        (pause, "paused", {"Resume", "Step", "Stop"}),
        (stop, "stopped", set()),
        (fail, "failed", set()),
        (end, "done", set()),
    ],
)
def test_the_lab_shows_a_run_in_every_state(
    visit,
    boards,
    store: Store,
    engine,
    spec: ExperimentSpec,
    me: str,
    reach: State,
    state: str,
    buttons: set[str],
) -> None:
    view_id = store.submit(spec, owner=me)
    reach(store, engine, view_id)
    app = visit("0_Lab", run=view_id)
    assert not app.exception
    (shown,) = boards(app)
    assert (shown["view"], shown["state"]) == (view_id, state)
    assert pressable(app) == buttons | {
        "Run",
        "Curvature of this run",
        "Fork from here",
        "Vary a knob of this run",
        "Compare this run",
        "Back to the example",
    }


def test_a_run_that_was_computed_before_says_so(visit, boards, store: Store, engine, spec, me: str) -> None:
    store.submit(spec)
    engine.run_all()
    assert boards(visit("0_Lab", run=store.submit(spec, owner=me)))[0]["state"] == "cached"


def test_the_board_gets_the_charts_of_its_subject(visit, boards, store: Store, spec: ExperimentSpec) -> None:
    spec = spec.with_settings(["data=two-moons"])
    (shown,) = boards(visit("0_Lab", run=store.submit(spec)))
    subject = Subject.of(spec)
    skeletons = json.loads(shown["charts"])
    assert [chart["name"] for chart in skeletons] == [
        chart.name for chart in charts("lab") if chart.shown(subject)
    ]
    assert all(chart["title"] and chart["subtitle"] for chart in skeletons)
    assert all(trace["meta"]["role"] for chart in skeletons for trace in chart["figure"]["data"])
    assert shown["band"] == subject.band
    assert shown["templates"].keys() == {"light", "dark"}
    assert shown["plotly"].startswith("/plotly.min.js?v=")
    assert board.skeletons(subject) == shown["charts"]


def test_the_form_of_a_run_holds_that_run(visit, store: Store, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec.with_settings(["seeds=7", "p=0.3"]))
    app = visit("0_Lab", run=view_id)
    assert next(field.value for field in app.number_input if field.label == "Seeds") == 7
    assert app.slider(key=f"run:{view_id}/p").value == 0.3
    assert any("840 updates: 3 arms × 7 seeds × 40 steps" in caption.value for caption in app.caption)


def test_an_unknown_run_is_said_to_be_unknown_and_the_example_is_one_press_away(
    visit, boards, results: Path, store, engine, spec
) -> None:
    carry(results, store, engine, spec, "noisy-digits")
    app = visit("0_Lab", run="0" * 32)
    assert not app.exception
    assert "This run is not here" in texts(app)
    assert f"There is no experiment '{'0' * 32}'" in texts(app)
    assert boards(app) == []
    app.button(key="forget").click().run()
    assert boards(app)[0]["state"] == "example"
    assert "run" not in app.query_params


def test_what_a_link_says_is_shown_as_text_and_never_as_markdown(visit, results: Path) -> None:
    app = visit("0_Lab", run="![x](https://example.org/x.png)")
    assert not app.exception
    assert all("![x](https://example.org/x.png)" not in element.value for element in app.markdown)


def test_run_queues_the_experiment_and_names_it_in_the_url(
    visit, boards, results: Path, store: Store, me: str
) -> None:
    app = visit("0_Lab")
    app.number_input(key="preset:noisy-digits/seeds").set_value(2)
    app.button(key="run").click().run()
    assert not app.exception
    (line,) = store.experiments()
    assert run_in_url(app) == line.id
    assert line.owner == me
    experiment = store.experiment(line.id)
    assert experiment.spec == preset("noisy-digits").with_settings(["seeds=2"])
    (shown,) = boards(app)
    assert (shown["view"], shown["state"]) == (line.id, "queued")
    assert pressable(app) == {
        "Run",
        "Pause",
        "Stop",
        "Curvature of this run",
        "Fork from here",
        "Vary a knob of this run",
        "Compare this run",
        "Back to the example",
    }
    assert app.number_input(key="preset:noisy-digits/seeds").value == 2


def test_run_on_somebody_elses_run_makes_it_ones_own(visit, boards, store: Store, spec, me: str) -> None:
    theirs = store.submit(spec, owner=OTHER)
    app = visit("0_Lab", run=theirs)
    app.button(key="run").click().run()
    (mine,) = store.experiments(owner=me)
    assert boards(app)[0]["view"] == mine.id
    assert {job.id for job in store.experiment(mine.id).jobs} == {
        job.id for job in store.experiment(theirs).jobs
    }
    assert {"Pause", "Stop"} <= pressable(app)


@pytest.mark.parametrize(
    ("kind", "name", "value", "sentence"),
    [
        ("number_input", "train.steps", 900_000, "over this server's budget of 100,000: lower train.steps."),
        (
            "text_input",
            "model.mlp.widths",
            "wide",
            "widths.0 = 'wide' is not possible: it must be a whole number.",
        ),
        ("multiselect", "arms", [], "No arm is chosen: choose at least one, such as none and dropout."),
        ("multiselect", "arms", ["none", "dropuot"], "'dropuot' is not an arm"),
    ],
)
def test_an_error_in_the_form_is_one_sentence_and_queues_nothing(
    visit, results: Path, store: Store, kind: str, name: str, value: Any, sentence: str
) -> None:
    app = visit("0_Lab")
    key = f"preset:noisy-digits/{name}"
    next(widget for widget in app.get(kind) if widget.key == key).set_value(value)
    app.button(key="run").click().run()
    assert not app.exception
    (error,) = app.error
    assert plain(sentence) in error.value
    assert "\n" not in error.value
    assert store.experiments() == []
    assert "run" not in app.query_params
    assert next(widget for widget in app.get(kind) if widget.key == key).value == value


def test_coming_back_from_another_page_the_run_is_still_there(visit, boards, store: Store, spec) -> None:
    view_id = store.submit(spec)
    app = visit("0_Lab", run=view_id)
    del app.query_params["run"]
    app.session_state["arrived"] = True  # as ``main`` finds
    app.run()
    assert run_in_url(app) == view_id
    assert boards(app)[0]["view"] == view_id


def test_a_preset_can_be_chosen_while_a_run_is_shown(visit, boards, store: Store, spec) -> None:
    view_id = store.submit(spec)
    app = visit("0_Lab", run=view_id)
    chooser = app.selectbox(key=f"preset/run:{view_id}")
    assert chooser.value is None
    chooser.select("noisy-digits").run()
    assert not app.exception
    assert app.number_input(key="preset:noisy-digits/train.steps").value == 1500
    assert boards(app)[0]["view"] == view_id


def test_back_to_the_example_leaves_the_run(visit, boards, results: Path, store, engine, spec) -> None:
    carry(results, store, engine, spec, "noisy-digits")
    view_id = store.submit(spec)
    app = visit("0_Lab", run=view_id)
    app.button(key="back").click().run()
    assert boards(app)[0]["view"] == "example-noisy-digits"
    assert store.experiment(view_id).state == "queued"


def test_the_address_of_the_server_leads_to_the_lab(
    boards, results: Path, store, engine, spec, cookies
) -> None:
    carry(results, store, engine, spec, "noisy-digits")
    component.component.cache_clear()
    app = AppTest.from_file(main.__file__, default_timeout=30).run()
    assert not app.exception
    assert boards(app)[0]["view"] == "example-noisy-digits"
    assert "Run" in pressable(app)
    assert main.ICON.is_file()
