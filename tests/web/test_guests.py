"""Who has the link of somebody else's run sees it and controls nothing, whatever their browser sends; what is deleted is gone."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from dropviz.experiment import ExperimentSpec
from dropviz.store import DeletedExperiment, Store
from dropviz.sweeps import Axis, Sweep
from dropviz.web import live
from dropviz.web.compare.runs import chosen_runs
from dropviz.web.live import array_answer
from tests.web.conftest import FakeEngine, Visit
from tests.web.looking import texts

OWNER = "feedface" * 4


def pressed(app: AppTest, key: str) -> AppTest:
    """As a browser can send it for a button that is drawn as one that cannot be pressed."""
    button = app.button(key=key)
    assert button.disabled
    button.proto.disabled = False  # of the test alone: the server is sent the same
    return button.click().run()


@pytest.mark.parametrize("key", ["pause", "step", "stop"])
def test_a_guests_browser_stops_nothing(
    store: Store, spec: ExperimentSpec, engine: FakeEngine, visit: Visit, key: str
) -> None:
    run = store.submit(spec, owner=OWNER)
    engine.start()
    before = store.experiment(run)
    app = pressed(visit("0_Lab", run=run), key)
    assert not app.exception
    after = store.experiment(run)
    assert after.wants == before.wants == "run"
    assert after.state in ("running", "stalled")  # which is what a slow test makes of it


def test_a_guests_browser_does_not_resume_what_its_owner_paused(
    store: Store, spec: ExperimentSpec, visit: Visit
) -> None:
    run = store.submit(spec, owner=OWNER)
    store.request(run, "pause")
    pressed(visit("0_Lab", run=run), "resume")
    assert store.experiment(run).wants == "pause"


def test_a_guests_browser_stops_no_sweep(store: Store, spec: ExperimentSpec, visit: Visit) -> None:
    axis = Axis(key="p", values=(0.1, 0.2))
    sweep = store.sweeps.submit(Sweep.from_table({"base": spec.to_table(), "axes": [axis]}), OWNER)
    app = pressed(visit("2_What_if", sweep=sweep), "do/Stop")
    assert not app.exception
    assert {cell.state for cell in store.sweeps.states(sweep)} == {"queued"}
    assert "delete_sweep" not in {button.key for button in app.button}


def test_a_guest_is_not_told_who_the_owner_is(
    store: Store, spec: ExperimentSpec, engine: FakeEngine, visit: Visit
) -> None:
    run = store.submit(spec, owner=OWNER)
    engine.run_all()
    store.runs.describe(run, OWNER, name="Mine", shared=True)
    assert OWNER not in live.answer(run, "")[1].decode()
    for page, query in (
        ("0_Lab", {"run": run}),
        ("1_Compare", {"runs": run}),
        ("3_Curvature", {"run": run}),
        ("6_System", {}),
    ):
        app = visit(page, **query)
        assert not app.exception
        sent = "\n".join(str(node.proto) for kind in KINDS for node in app.get(kind))
        assert run in sent or page == "6_System"
        assert OWNER not in sent


KINDS = (
    "bidi_component",
    "button",
    "markdown",
    "caption",
    "text",
    "table",
    "checkbox",
    "multiselect",
    "link_button",
    "header",
)


def test_a_deleted_run_is_gone_for_everybody_until_it_is_taken_back(
    store: Store, spec: ExperimentSpec, engine: FakeEngine, visit: Visit
) -> None:
    run = store.submit(spec, owner=OWNER)
    engine.run_all()
    reader = live.readers().get(run)
    assert reader.read(None)
    assert chosen_runs([run])[0]
    store.runs.delete(run, OWNER)
    reader._looked = float("-inf")  # it looks a few times a second
    status, body = live.answer(run, "")
    assert (
        status,
        "was deleted" in json.loads(body)["error"] or "no experiment" in json.loads(body)["error"],
    ) == (404, True)
    assert array_answer(run, "density", "1")[0] == 404
    with pytest.raises(DeletedExperiment, match="take it back"):
        store.experiment(run)
    assert chosen_runs([run])[0] == []
    assert "This run was deleted" in texts(visit("0_Lab", run=run))
    store.runs.restore(run, OWNER)
    assert store.experiment(run).state == "done"
    assert live.answer(run, "")[0] == 200
