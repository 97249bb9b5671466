"""The line under Run: the amount of work, and how long it takes here once that was measured."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dropviz import settings
from dropviz.duration import Costs, duration, guessed, told
from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Point, Store

COSTS = Costs(once=0.2, step=0.001, evaluation=0.02, picture=0.0, live=0.1, refresh=1.0)


def captions(app: AppTest) -> str:
    return "\n".join(element.value for element in app.caption)


def estimate(store: Store, engine, *, error: str | None = None) -> None:
    claim = engine.start()
    assert claim.kind == "estimate"
    if error:
        engine.finish(claim, "failed", error)
        return
    values = np.array(COSTS.to_values())
    arms = preset("noisy-digits").arms
    store.append(
        claim.job_id, claim.attempt, [Point(seq=i, step=0, name=a, values=values) for i, a in enumerate(arms)]
    )
    engine.finish(claim)


def test_the_time_is_asked_for_followed_and_told(visit, store: Store, engine) -> None:
    spec = preset("noisy-digits")
    takes = told(duration(spec, dict.fromkeys(spec.arms, COSTS), settings.slots()))
    app = visit("0_Lab")
    assert f"72,000 updates: 6 arms × 8 seeds × 1,500 steps · {guessed(spec, settings.slots())}" in captions(
        app
    )
    assert "about" not in captions(app)
    app.button(key="estimate").click().run()
    assert "waiting to be measured" in captions(app)
    assert not [button for button in app.button if button.key == "estimate"]
    estimate(store, engine)
    app.run()
    assert not app.exception
    assert f"72,000 updates: 6 arms × 8 seeds × 1,500 steps · {takes}" in captions(app)
    assert takes in captions(visit("0_Lab"))  # whoever opens the page, from then on
    assert not [button for button in app.button if button.key == "estimate"]


def test_what_could_not_be_measured_says_why_and_may_be_tried_again(visit, store: Store, engine) -> None:
    app = visit("0_Lab")
    app.button(key="estimate").click().run()
    estimate(store, engine, error="It is too large.")
    app.run()
    assert "The time could not be measured: It is too large" in captions(app)
    app.button(key="estimate").click().run()
    assert "waiting to be measured" in captions(app)


def test_what_is_over_budget_is_not_measured(visit, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_STEPS", "10")
    app = visit("0_Lab")
    app.button(key="estimate").click().run()
    assert "over this server" in app.toast[0].value
    assert store.live_jobs() == []


def test_the_share_of_statistics_is_told_once_there_is_something_to_tell(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    from dropviz.web.progress import message

    view_id = store.submit(spec)
    claim = engine.start()
    store.append(claim.job_id, claim.attempt, seconds={"training": 0.5, "evaluation": 0.1, "statistics": 0.1})
    assert "statistics" not in message(store.experiment(view_id))
    store.append(claim.job_id, claim.attempt, seconds={"training": 1.0, "evaluation": 0.2, "statistics": 0.0})
    assert message(store.experiment(view_id)).endswith("0 of 3 arms done · statistics 5 % of the time")
    engine.finish(claim)
    engine.run_all()
    assert message(store.experiment(view_id)) == "Done. Statistics took 5 % of the time."
