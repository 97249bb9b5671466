"""The button that has the whole spectrum measured at a step: its cost, its states, and whose it is."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dropviz.experiment import ExperimentSpec
from dropviz.store import Experiment, Store
from dropviz.web.refreshes import finished_refreshes, kept_steps

LABEL = "Measure the whole spectrum of none at step 20"


def control(view_id: str, step: int) -> None:
    from dropviz.web.live import store
    from dropviz.web.refreshes import refresh_control

    refresh_control(store().experiment(view_id), "none", step)


@pytest.fixture
def trained(store: Store, engine, spec: ExperimentSpec, me: str) -> Experiment:
    """A run of this visitor's with weights at step 20 in each of its two blocks, and at step 0 in one."""
    view_id = store.submit(spec.with_settings(['arms=["none"]', "seeds=70"]), owner=me)
    for step in (0, 20):
        claim = engine.start()
        for kept in {step, 20}:
            store.weights.keep(claim.job_id, kept, {"w": np.zeros((35, 2), np.float32)}, claim.identity, 1)
        engine.finish(claim)
    return store.experiment(view_id)


def drawn(experiment: Experiment, step: int = 20) -> AppTest:
    return AppTest.from_function(control, args=(experiment.id, step)).run()


def test_it_is_asked_for_and_followed_until_it_is_there(store: Store, engine, trained: Experiment) -> None:
    assert kept_steps(trained, "none") == [20]
    app = drawn(trained)
    assert [(button.label, button.disabled) for button in app.button] == [(LABEL, False)]
    app.button[0].click().run()
    assert "waits to be measured" in app.caption[0].value
    for _block in range(2):
        claim = engine.start()
        store.append(claim.job_id, claim.attempt, seconds={"statistics": 6.0})
        assert "is being measured" in app.run().caption[0].value
        engine.finish(claim)
    app.run()
    assert not app.exception
    assert len(app.button) == 0
    assert [caption.value for caption in app.caption] == [
        "The whole spectrum of none is measured at step 20: move there to see it."
    ]
    assert finished_refreshes(trained) == 2
    assert store.expected_refresh(trained.spec, "none") == pytest.approx(12, abs=1)


def test_what_failed_says_why_and_what_was_stopped_may_be_asked_for_again(
    store: Store, engine, trained: Experiment
) -> None:
    app = drawn(trained)
    app.button[0].click().run()
    app.button[0].click().run()  # Stop measuring
    assert store.live_jobs() == []
    assert app.button[0].label == LABEL
    app.button[0].click().run()
    for _block in range(2):
        engine.finish(engine.start(), "failed", "The weights were gone.")
    app.run()
    assert "was not measured: The weights were gone" in app.caption[0].value
    assert not app.button[0].disabled


def test_it_cannot_be_pressed_without_weights_or_by_somebody_else(
    store: Store, trained: Experiment, cookies: dict[str, str]
) -> None:
    (button,) = drawn(trained, 0).button
    assert button.disabled
    assert "not kept at step 0" in button.help
    for name in cookies:
        cookies[name] = "f" * 32
    (button,) = drawn(trained).button
    assert button.disabled
    assert "Only who started this run" in button.help
    assert drawn(trained).caption[0].value == button.help


def test_where_nothing_like_it_was_measured_the_runs_own_statistics_say_what_it_takes(
    store: Store, engine, spec: ExperimentSpec, me: str
) -> None:
    """Twelve times a moment, and a quarter of a second to hand over."""
    spec = spec.with_settings(['arms=["none"]', "observe.statistics=4", "observe.evaluations=4"])
    view_id = store.submit(spec, owner=me)
    claim = engine.start()
    store.weights.keep(claim.job_id, 20, {"w": np.zeros((3, 2), np.float32)}, claim.identity, 1)
    store.append(claim.job_id, claim.attempt, seconds={"statistics": 8.0})
    engine.finish(claim)
    (button,) = drawn(store.experiment(view_id)).button
    assert button.label == f"{LABEL} (about 25 s)"


def nearest(view_id: str, step: int) -> None:
    from dropviz.web.live import store
    from dropviz.web.refreshes import nearest_refresh

    nearest_refresh(store().experiment(view_id), "none", step)


@pytest.mark.parametrize("step", [0, 19, 900])
def test_any_step_offers_the_nearest_one_with_weights(trained: Experiment, step: int) -> None:
    (button,) = AppTest.from_function(nearest, args=(trained.id, step)).run().button
    assert (button.label, button.disabled) == (LABEL, False)


def test_a_run_whose_weights_are_not_kept_says_why(store: Store, spec: ExperimentSpec, me: str) -> None:
    view_id = store.submit(spec.with_settings(['arms=["none"]']), owner=me)
    app = AppTest.from_function(nearest, args=(view_id, 3)).run()
    assert len(app.button) == 0
    assert "No weights of none are kept yet" in app.caption[0].value
