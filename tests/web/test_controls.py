"""Which buttons can be pressed and whose they are; what is submitted is checked on the server."""

from __future__ import annotations

from typing import Any

import pytest

from dropviz.experiment import ExperimentSpec, SpecError
from dropviz.store import Store
from dropviz.web.controls import enabled, submit
from dropviz.web.plain import plain
from dropviz.web.visitor import COOKIE

OTHER = "f" * 32
STATES = ("none", "queued", "running", "stalled", "paused", "stopped", "failed", "done")


@pytest.mark.parametrize(
    ("state", "pause", "resume", "stop"),
    [
        ("none", False, False, False),
        ("queued", True, False, True),
        ("running", True, False, True),
        ("stalled", True, False, True),
        ("paused", False, True, True),
        ("stopped", False, False, False),
        ("failed", False, False, False),
        ("done", False, False, False),
    ],
)
def test_what_can_be_pressed_follows_from_the_state(
    state: str, pause: bool, resume: bool, stop: bool
) -> None:
    can = enabled(state, mine=True)
    assert (can.pause, can.resume, can.step, can.stop) == (pause, resume, resume, stop)


@pytest.mark.parametrize("state", STATES)
def test_nothing_of_somebody_elses_can_be_pressed(state: str) -> None:
    assert not any(vars(enabled(state, mine=False)).values())


def names(app: Any) -> dict[str, bool]:
    return {button.label: not button.disabled for button in app.button}


def test_pause_resume_step_and_stop_do_what_they_say(
    visit, store: Store, engine, spec: ExperimentSpec, me: str
) -> None:
    view_id = store.submit(spec, owner=me)
    app = visit("0_Lab", run=view_id)
    app.button(key="pause").click().run()
    assert store.experiment(view_id).state == "paused"
    assert names(app)["Resume"]
    app.button(key="resume").click().run()
    assert store.experiment(view_id).state == "queued"
    app.button(key="pause").click().run()
    app.button(key="step").click().run()
    claim = store.claim("worker")
    assert claim is not None
    assert claim.advance_once
    app.button(key="stop").click().run()
    assert store.experiment(view_id).state == "stopped"
    assert not any(names(app)[label] for label in ("Pause", "Step", "Stop"))
    assert names(app)["Run"]


def test_who_only_watches_is_told_so_and_cannot_stop_it(
    visit, store: Store, spec: ExperimentSpec, me: str
) -> None:
    view_id = store.submit(spec, owner=OTHER)
    app = visit("0_Lab", run=view_id)
    assert not any(names(app)[label] for label in ("Pause", "Step", "Stop"))
    assert any("somebody else's run" in caption.value for caption in app.caption)


@pytest.mark.parametrize("key", ["pause", "stop"])
def test_a_press_is_checked_on_the_server_whatever_the_browser_says(
    visit, store: Store, spec: ExperimentSpec, cookies: dict[str, str], key: str
) -> None:
    """The buttons were drawn for the owner, and the press comes with another visitor's cookie."""
    view_id = store.submit(spec, owner=cookies[COOKIE])
    app = visit("0_Lab", run=view_id)
    cookies[COOKIE] = OTHER
    app.button(key=key).click().run()
    assert store.experiment(view_id).state == "queued"
    assert not app.exception


def test_a_press_that_comes_too_late_is_a_sentence(
    visit, store: Store, engine, spec: ExperimentSpec, me: str
) -> None:
    view_id = store.submit(spec, owner=me)
    store.request(view_id, "pause")
    app = visit("0_Lab", run=view_id)
    store.request(view_id, "stop")
    app.button(key="resume").click().run()
    assert not app.exception
    sentence = "This experiment has ended, so there is nothing left to run: start a new one."
    assert [toast.value for toast in app.toast] == [plain(sentence)]


def test_what_is_submitted_belongs_to_the_visitor(store: Store, spec: ExperimentSpec, me: str) -> None:
    experiment = store.experiment(submit(spec.to_table()))
    assert (experiment.owner, experiment.spec) == (me, spec)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"arms": []}, "No arm is chosen: choose at least one, such as none and dropout."),
        ({"arms": ["dropuot"]}, "'dropuot' is not an arm"),
        ({"p": 1.0}, "p = 1.0 is not possible: it must be below 1."),
        ({"seeds": None}, "seeds = None is not possible: it must be a whole number."),
        ({"seeds": 1000}, "over this server's budget of 256: lower seeds."),
        (
            {"data": {"name": "digits", "train_size": 3}},
            "train_size = 3 is not possible: it must be at least 16.",
        ),
        ({"model": {"name": "mlp", "widths": ["wide"]}}, "is not possible: it must be a whole number."),
        ({"model": {"name": "mlp", "widths": []}}, "widths = [] is not possible: give at least 1."),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_sentence_and_queues_nothing(
    store: Store, spec: ExperimentSpec, me: str, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SpecError) as refused:
        submit(spec.to_table() | change)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert store.experiments() == []
