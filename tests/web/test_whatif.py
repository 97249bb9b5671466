"""The What-if page against a store: questions, the form, a sweep in every state, and whose it is."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dropviz.duration import Costs
from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Point, Store
from dropviz.sweeps import Axis, Sweep, question, question_names
from dropviz.web.visitor import COOKIE
from dropviz.web.whatif import timing, view
from tests.web.looking import texts

PAGE = "2_What_if"
OTHER = "f" * 32


def sweep(spec: ExperimentSpec, **values: list[Any]) -> Sweep:
    return Sweep(base=spec, axes=[Axis(key=key, values=found) for key, found in values.items()])


def button(app: AppTest, label: str) -> Any:
    (found,) = [one for one in app.button if one.label == label]
    return found


def labels(app: AppTest) -> set[str]:
    return {one.label for one in app.button if not one.disabled}


def figures(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(element.proto.json) for element in app.get("bidi_component")]


def sweep_in_url(app: AppTest) -> str:
    found = app.query_params["sweep"]
    return found if isinstance(found, str) else found[0]


def test_the_page_opens_on_questions_and_their_size(visit, store: Store) -> None:
    app = visit(PAGE)
    assert not app.exception
    for name in question_names():
        assert question(name).title.replace("'", "’")[:20] in texts(app).replace("\\", "").replace("'", "’")
    assert "15 cells × 3 arms × 6 seeds × 300 steps" in texts(app)
    assert "Your sweeps" not in texts(app)


def test_a_question_is_one_click(visit, store: Store, me: str) -> None:
    app = visit(PAGE)
    next(one for one in app.button if one.key == "ask/2-more-data").click().run()
    assert not app.exception
    (row,) = store.sweeps.of(me)
    assert (sweep_in_url(app), row.title) == (row.id, "Does more data make dropout useless?")
    assert row.sweep == question("2-more-data").sweep()
    assert "0 of 6 cells" in texts(app)
    assert {"Stop", "Delete", "Run", "All questions and sweeps"} <= labels(app)


def test_run_queues_what_the_form_says(visit, store: Store, me: str) -> None:
    app = visit(PAGE)
    preset = "whatif/preset:classroom"
    app.text_input(key=f"{preset}/0/p/list").input("0.2, 0.4").run()
    app.selectbox(key=f"{preset}/knob1").select("model.activation").run()
    app.multiselect(key=f"{preset}/1/model.activation/choices").set_value(["relu", "tanh"]).run()
    app.multiselect(key=f"{preset}/arms").set_value(["none", "dropout"]).run()
    app.number_input(key=f"{preset}/seeds").set_value(3).run()
    assert "4 cells × 2 arms × 3 seeds × 500 steps" in texts(app)
    button(app, "Run").click().run()
    assert not app.exception
    (row,) = store.sweeps.of(me)
    asked = row.sweep
    assert [(axis.key, axis.values) for axis in asked.axes] == [
        ("p", (0.2, 0.4)),
        ("model.activation", ("relu", "tanh")),
    ]
    assert (asked.base.arms, asked.base.seeds) == (("none", "dropout"), 3)


def test_a_range_gives_its_values(visit, store: Store) -> None:
    app = visit(PAGE)
    form = "whatif/preset:classroom"
    app.selectbox(key=f"{form}/knob1").select("nothing else").run()
    app.get("button_group")[0].select("Range").run()
    app.number_input(key=f"{form}/0/p/count").set_value(3).run()
    assert "3 cells ×" in texts(app)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("0.1, 2", "p = 2 is not possible: it must be below 1"),
        ("", "No values are given"),
        ("0:1", "it must be a number"),
    ],
)
def test_what_cannot_be_run_is_said_at_once_and_nothing_is_queued(
    visit, store: Store, me: str, typed: str, says: str
) -> None:
    app = visit(PAGE)
    app.text_input(key="whatif/preset:classroom/0/p/list").input(typed).run()
    assert says in texts(app).replace("\\", "")
    button(app, "Run").click().run()
    assert not app.exception
    assert says in app.error[0].value.replace("\\", "")
    assert store.sweeps.of(me) == []


def test_a_sweep_beyond_the_budget_is_refused(
    visit, store: Store, me: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_CELLS", "3")
    app = visit(PAGE)
    button(app, "Run").click().run()
    assert "25 cells, over this server's budget of 3" in app.error[0].value.replace("\\", "")
    assert store.sweeps.of(me) == []


def test_no_time_is_guessed_of_what_is_too_much(visit, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def guessed(*what: object) -> None:
        raise AssertionError(what)

    monkeypatch.setattr(timing, "_guessed", guessed)
    app = visit(PAGE)
    assert app.exception  # of the usual one it is
    form = "whatif/preset:classroom"
    monkeypatch.setenv("DROPVIZ_MAX_SEEDS", "4")
    app = visit(PAGE)
    assert not app.exception
    assert "seeds, over this server's budget of 4: lower seeds." in texts(app).replace("\\", "")
    assert app.number_input(key=f"{form}/seeds").value > 4
    assert "Measure the time" not in labels(app)


def test_a_map_fills_as_cells_are_done(visit, store: Store, engine, spec: ExperimentSpec, me: str) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, p=[0.1, 0.5], depth=[1, 2]), me)
    before, _ = figures(visit(PAGE, sweep=sweep_id, show="gain"))
    assert [value for row in json.loads(before["figure"])["data"][0]["z"] for value in row] == [None] * 4
    for _ in range(6):  # of twelve jobs: two cells
        claim = engine.start()
        engine.train(claim)
        engine.finish(claim)
    app = visit(PAGE, sweep=sweep_id, show="gain")
    assert "2 of 4 cells" in texts(app)
    shown, multiples = figures(app)
    (trace, _) = json.loads(shown["figure"])["data"]
    assert sum(value is not None for row in trace["z"] for value in row) == 2
    drawn = [
        value
        for line in json.loads(multiples["figure"])["data"]
        if "customdata" in line
        for value in line["y"]
    ]
    there = [value for row in trace["z"] for value in row if value is not None]
    assert sorted(value for value in drawn if value is not None) == pytest.approx(sorted(there), rel=1e-5)
    engine.run_all()
    app = visit(PAGE, sweep=sweep_id, show="gain")
    assert "Done: 4 of 4 cells" in texts(app)
    rows = json.loads(figures(app)[0]["table"])
    assert rows[0] == ["p", "depth", "Gain of dropout in points", "95 % interval", "n", "run"]
    assert [row[:2] for row in rows[1:]] == [["0.1", "1"], ["0.1", "2"], ["0.5", "1"], ["0.5", "2"]]
    runs = [cell.experiment for cell in store.sweeps.states(sweep_id)]
    assert [row[-1]["href"] for row in rows[1:]] == [f"lab?run={run}" for run in runs]
    assert "Stop" not in labels(app)


def test_many_panels_are_drawn_when_somebody_asks_for_them(
    visit, store: Store, spec: ExperimentSpec, me: str
) -> None:
    widths: list[object] = list(range(4, 14))
    app = visit(PAGE, sweep=store.sweeps.submit(sweep(spec, p=[0.1, 0.5], width=widths), me), show="gain")
    assert len(figures(app)) == 1
    app.toggle(key="whatif/multiples").set_value(True).run()
    assert len(figures(app)) == 2


def test_one_knob_has_a_panel_for_scores_and_each_measure(
    visit, store: Store, engine, spec: ExperimentSpec, me: str
) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, p=[0.1, 0.5, 0.9]), me)
    engine.run_all()
    shown = figures(visit(PAGE, sweep=sweep_id))
    assert [one["title"] for one in shown] == [
        "Test accuracy in %",
        "Gain of dropout in points",
        "Explicit share in %",
        "R by formula ÷ R by masks",
    ]
    lines = json.loads(shown[0]["figure"])["data"]
    assert [line["name"] for line in lines if line["mode"] == "lines+markers"] == list(spec.arms)


def test_stop_and_resume(visit, store: Store, engine, spec: ExperimentSpec, me: str) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, p=[0.1, 0.5]), me)
    app = visit(PAGE, sweep=sweep_id)
    button(app, "Stop").click().run()
    assert "Stopped: 0 of 2 cells are there. What was computed is kept" in texts(app)
    assert not store.has_queued()
    button(app, "Resume").click().run()
    assert store.has_queued()
    engine.run_all()
    assert "Done: 2 of 2 cells" in texts(visit(PAGE, sweep=sweep_id))


def test_a_sweep_that_is_stopped_half_way_keeps_and_shows_what_was_computed(
    visit, store: Store, engine, spec: ExperimentSpec, me: str
) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, p=[0.1, 0.5]), me)
    for _ in spec.arms:
        claim = engine.start()
        engine.train(claim)
        engine.finish(claim)
    app = visit(PAGE, sweep=sweep_id)
    shown = str(figures(app))
    button(app, "Stop").click().run()
    assert "Stopped: 1 of 2 cells are there. What was computed is kept" in texts(app)
    assert "60.3 [58.7, 61.8] n = 3" in shown
    assert str(figures(app)) == shown.replace("waiting", "stopped")


def test_failed_cells_say_why_and_can_be_tried_again(
    visit, store: Store, engine, spec: ExperimentSpec, me: str
) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, p=[0.1, 0.5]), me)
    engine.finish(engine.start(), "failed", error="It diverged: lower the learning rate.")
    engine.run_all()
    app = visit(PAGE, sweep=sweep_id)
    assert "Done: 1 of 2 cells · 1 failed" in texts(app)
    assert "p = 0.1: none failed. It diverged: lower the learning rate." in texts(app).replace("\\", "")
    button(app, "Try the failed cells again").click().run()
    assert store.has_queued()


def test_others_look_and_run_it_as_their_own_for_nothing(
    visit, store: Store, engine, spec: ExperimentSpec, cookies: dict[str, str]
) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, p=[0.1, 0.5], depth=[1, 2]), OTHER)
    app = visit(PAGE, sweep=sweep_id)
    assert "somebody else's sweep" in texts(app)
    assert not labels(app) & {"Stop", "Delete"}
    engine.run_all()
    app = visit(PAGE, sweep=sweep_id, show="gain")
    button(app, "Run").click().run()
    assert sweep_in_url(app) != sweep_id
    assert not store.has_queued()
    assert "Done: 4 of 4 cells · 4 from cache" in texts(app)


def test_a_deleted_sweep_can_be_taken_back(visit, store: Store, spec: ExperimentSpec, me: str) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, p=[0.1, 0.5]), me)
    app = visit(PAGE)
    assert "p · digits · mlp" in texts(app).replace("\\", "")
    button(app, "Delete").click().run()
    assert store.sweeps.of(me) == []
    assert "The sweep was deleted." in texts(app)
    button(app, "Undo").click().run()
    assert [row.id for row in store.sweeps.of(me)] == [sweep_id]
    store.sweeps.delete(sweep_id)
    assert "This sweep was deleted." in texts(visit(PAGE, sweep=sweep_id))


def test_a_deleted_sweep_is_gone_for_everybody_until_its_owner_takes_it_back(
    visit, store: Store, engine, spec: ExperimentSpec, cookies: dict[str, str], me: str
) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, p=[0.1, 0.5], depth=[1, 2]), me)
    engine.run_all()
    mine = visit(PAGE, sweep=sweep_id)
    cookies[COOKIE] = OTHER
    theirs = visit(PAGE, sweep=sweep_id)
    for app in (mine, theirs):
        assert len(figures(app)) == 2
    store.sweeps.delete(sweep_id)
    for app in (theirs.run(), visit(PAGE, sweep=sweep_id)):
        assert not app.exception
        assert "This sweep was deleted. Whoever started it can take it back" in texts(app)
        assert figures(app) == []
        assert "depth" not in texts(app)
        assert "Undo" not in labels(app)
        assert app.selectbox(key="whatif/preset").value == "classroom"
    cookies[COOKIE] = me
    app = mine.run()
    assert figures(app) == []
    button(app, "Undo").click().run()
    assert not app.exception
    assert sweep_in_url(app) == sweep_id
    assert len(figures(app)) == 2
    cookies[COOKIE] = OTHER
    assert len(figures(visit(PAGE, sweep=sweep_id))) == 2


def test_a_sweep_that_is_deleted_while_it_is_drawn_is_gone(
    visit, store: Store, spec: ExperimentSpec, me: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, p=[0.1, 0.5]), me)
    store.sweeps.stop(sweep_id)
    about = view._about

    def deleted(shown: Sweep) -> str:
        store.sweeps.delete(sweep_id)
        return about(shown)

    monkeypatch.setattr(view, "_about", deleted)
    app = visit(PAGE, sweep=sweep_id)
    assert not app.exception
    assert "This sweep was deleted" in texts(app)
    assert figures(app) == []


def test_the_form_starts_from_a_run(visit, store: Store, spec: ExperimentSpec, me: str) -> None:
    view_id = store.submit(spec.with_settings(["seeds=5", "data=two-moons"]), owner=me)
    app = visit(PAGE, run=view_id)
    assert not app.exception
    assert app.number_input(key=f"whatif/run:{view_id}/seeds").value == 5
    button(app, "Run").click().run()
    (row,) = store.sweeps.of(me)
    assert row.sweep.base.data.name == "two-moons"


def test_the_form_starts_from_the_settings_of_a_link(visit, store: Store, me: str) -> None:
    app = visit(PAGE, preset="noisy-digits", seeds="5", **{"data.name": "two-moons"})
    assert not app.exception
    assert next(one for one in app.number_input if one.key.endswith("/seeds")).value == 5
    button(app, "Run").click().run()
    (row,) = store.sweeps.of(me)
    assert row.sweep.base == preset("noisy-digits").with_settings(["data.name=two-moons", "seeds=5"])


def test_a_link_that_makes_no_spec_says_so_and_the_presets_are_there(visit, store: Store) -> None:
    app = visit(PAGE, preset="noisy-digits", seeds="-3")
    assert not app.exception
    assert "seeds" in " ".join(one.value for one in app.toast)
    assert app.selectbox(key="whatif/preset").value == "classroom"


def test_the_form_of_a_sweep_widens_it(visit, store: Store, engine, spec: ExperimentSpec, me: str) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, p=[0.1, 0.5]), me)
    engine.run_all()
    app = visit(PAGE, sweep=sweep_id)
    app.text_input(key=f"whatif/sweep:{sweep_id}/0/p/list").input("0.1, 0.3, 0.5").run()
    button(app, "Run").click().run()
    assert sweep_in_url(app) != sweep_id
    assert "2 of 3 cells · 2 from cache" in texts(app)


@pytest.mark.parametrize("named", ["0" * 32, "nonsense"])
def test_a_link_to_no_sweep_says_so(visit, store: Store, named: str) -> None:
    app = visit(PAGE, sweep=named)
    assert not app.exception
    assert f"There is no sweep '{named}'" in texts(app)
    button(app, "Show the questions").click().run()
    assert "What if" in texts(app)


def test_the_time_is_measured_on_request_and_less_what_is_there(
    visit, store: Store, engine, spec: ExperimentSpec, me: str
) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, p=[0.1, 0.5]), me)
    engine.run_all()
    app = visit(PAGE, sweep=sweep_id)
    app.text_input(key=f"whatif/sweep:{sweep_id}/0/p/list").input("0.1, 0.3, 0.5").run()
    assert re.search(r"3 cells × 3 arms × 3 seeds × 40 steps · roughly \d+ s", texts(app))
    button(app, "Measure the time").click().run()
    assert "waiting to be measured" in texts(app)
    measure(store)
    app = app.run()
    assert "here for the rest: 18 of 27 results are there already" in texts(app)


def test_the_system_page_has_one_line_a_sweep(visit, store: Store, spec: ExperimentSpec, me: str) -> None:
    store.sweeps.submit(sweep(spec, p=[0.1, 0.5]), me)
    app = visit("6_System")
    assert not app.exception
    assert "p · digits · mlp · 0 of 2 cells" in texts(app).replace("\\", "")
    assert len([one for one in app.button if one.label == "Stop"]) == 1
    button(app, "Stop").click().run()
    assert not store.has_queued()


def measure(store: Store) -> None:
    """Play the engine that measures costs: half a second a job, whatever it is."""
    costs = Costs(once=0.5, step=0.0, evaluation=0.0, picture=0.0, live=0.0, refresh=0.0)
    while claim := store.claim("worker"):
        store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
        arms = json.loads(claim.spec)["arms"]
        values = costs.to_values()
        points = [Point(seq=seq, step=0, name=arm, values=np.array(values)) for seq, arm in enumerate(arms)]
        store.append(claim.job_id, claim.attempt, points, step=len(arms))
        assert store.finish(claim.job_id, claim.attempt, "done")
