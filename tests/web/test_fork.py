"""Fork from here: the panel, what it submits, and the way back."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from dropviz.store import Store
from tests.web.looking import carry, pressable, run_in_url, texts

FORK = "dropout@20:explicit+implicit"


def named(elements, label: str):
    (found,) = (element for element in elements if element.label == label)
    return found


def press(app: AppTest, label: str) -> AppTest:
    return named(app.button, label).click().run()


@pytest.fixture
def view_id(store: Store, engine, spec, me: str) -> str:
    """A run of this visitor's that is done: none, dropout and dropout-8 for 40 steps."""
    found = store.submit(spec, owner=me)
    engine.run_all()
    return found


def test_the_lab_forks_half_way_through_a_run_that_is_done(visit, store: Store, view_id: str, spec) -> None:
    app = press(visit("0_Lab", run=view_id), "Fork from here")
    assert not app.exception
    assert named(app.multiselect, "Fork").value == ["dropout"]
    assert named(app.number_input, "At step").value == 20
    assert named(app.selectbox, "And go on with").value == "explicit+implicit"
    assert "New: dropout until 20, then explicit+implicit." in texts(app)
    assert "120 updates: 1 arm × 3 seeds × 40 steps" in texts(app)
    press(app, "Run the fork")
    assert not app.exception
    found = store.experiment(run_in_url(app))
    assert found.id != view_id
    assert found.spec == spec.with_settings([f"arms={[*spec.arms, FORK]}"])
    assert {job.arm for job in found.jobs if not job.cached} == {FORK}
    assert "Run the fork" not in pressable(app)


def test_the_way_back_leads_to_the_run_before_the_fork(visit, view_id: str) -> None:
    app = press(press(visit("0_Lab", run=view_id), "Fork from here"), "Run the fork")
    assert run_in_url(app) != view_id
    press(app, "Back to the run before the fork")
    assert not app.exception
    assert run_in_url(app) == view_id
    assert "Back to the run before the fork" not in pressable(app)


def test_a_run_that_trains_is_forked_at_the_step_that_it_has_reached(
    visit, store: Store, engine, spec, me: str
) -> None:
    view_id = store.submit(spec, owner=me)
    engine.finish(engine.start())
    engine.train(engine.start(), [0, 10])
    app = press(visit("0_Lab", run=view_id), "Fork from here")
    assert named(app.number_input, "At step").value == 10


def test_several_arms_fork_at_a_chosen_step(visit, store: Store, view_id: str) -> None:
    app = press(visit("0_Lab", run=view_id), "Fork from here")
    named(app.multiselect, "Fork").set_value(["dropout", "dropout-8"])
    named(app.number_input, "At step").set_value(7)
    named(app.selectbox, "And go on with").set_value("none").run()
    assert "240 updates: 2 arms" in texts(app)
    press(app, "Run the fork")
    assert store.experiment(run_in_url(app)).spec.arms[3:] == ("dropout@7:none", "dropout-8@7:none")


def test_a_fork_that_changes_nothing_is_refused_before_it_runs(visit, view_id: str) -> None:
    app = press(visit("0_Lab", run=view_id), "Fork from here")
    named(app.selectbox, "And go on with").set_value("dropout").run()
    assert "so nothing changes" in texts(app)
    assert named(app.button, "Run the fork").disabled
    press(app, "Close")
    assert "Fork this run" not in texts(app)


def test_somebody_elses_run_is_forked_into_an_own_one(
    visit, store: Store, engine, spec, me: str, cookies
) -> None:
    theirs = store.submit(spec, owner="somebody else")
    engine.run_all()
    app = press(press(visit("0_Lab", run=theirs), "Fork from here"), "Run the fork")
    assert store.experiment(run_in_url(app)).owner == me
    assert store.experiment(theirs).owner == "somebody else"


def test_what_was_stopped_is_counted_with_the_fork(visit, store: Store, engine, spec, me: str) -> None:
    view_id = store.submit(spec, owner=me)
    store.request(view_id, "stop")
    app = press(visit("0_Lab", run=view_id), "Fork from here")
    assert "480 updates: 4 arms" in texts(app)


def test_the_curvature_page_forks_at_the_scrubbers_step(visit, store: Store, view_id: str) -> None:
    app = visit("3_Curvature", run=view_id)
    app.session_state["fork"] = (view_id, "dropout-8", 30)
    app.run()
    assert named(app.multiselect, "Fork").value == ["dropout-8"]
    assert named(app.number_input, "At step").value == 30
    press(app, "Run the fork")
    assert store.experiment(run_in_url(app)).spec.arms[-1] == "dropout-8@30:explicit+implicit"


def test_an_example_is_forked_with_its_arms(visit, store: Store, engine, spec, results) -> None:
    carry(results, store, engine, spec, "noisy-digits")
    app = visit("3_Curvature")
    app.session_state["fork"] = ("example-noisy-digits", "dropout", 20)
    app.run()
    assert "480 updates: 4 arms" in texts(app)
    press(app, "Run the fork")
    assert store.experiment(run_in_url(app)).spec.arms == (*spec.arms, FORK)
    press(app, "Back to the run before the fork")
    assert "run" not in app.query_params


def test_a_fork_of_a_fork_keeps_the_switches_before_it(visit, store: Store, engine, spec, me: str) -> None:
    view_id = store.submit(spec.with_settings([f"arms={[FORK]}"]), owner=me)
    app = visit("0_Lab", run=view_id)
    for step, arm in ((30, f"{FORK}@30:none"), (10, "dropout@10:none")):
        app.session_state["fork"] = (view_id, FORK, step)
        named(app.run().selectbox, "And go on with").set_value("none").run()
        press(app, "Run the fork")
        assert store.experiment(run_in_url(app)).spec.arms == (FORK, arm)
        app.query_params["run"] = view_id
