"""Run, pause, step and stop: which of them can be pressed, and what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from dropviz.budget import check_budget, check_data
from dropviz.experiment import ExperimentSpec, SpecError
from dropviz.store import Experiment, StoreError, UnknownExperiment
from dropviz.store.records import Action
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.presses import noted
from dropviz.web.visitor import visitor

LIVE = ("queued", "running", "stalled", "paused")


@dataclass(frozen=True, kw_only=True)
class Enabled:
    """Which buttons can be pressed."""

    pause: bool
    resume: bool
    step: bool
    stop: bool


def enabled(state: str, mine: bool) -> Enabled:
    """By the state of the experiment that is shown; only its owner controls it."""
    return Enabled(
        pause=mine and state in ("queued", "running", "stalled"),
        resume=mine and state == "paused",
        step=mine and state == "paused",
        stop=mine and state in LIVE,
    )


def buttons(experiment: Experiment | None, *, can_run: bool = True) -> bool:
    """Draw the buttons for the experiment that is shown, if any; returns whether Run was pressed, until that is answered."""
    state = experiment.state if experiment else "none"
    mine = experiment is not None and experiment.owner == visitor()
    can = enabled(state, mine)
    view_id = experiment.id if experiment else ""
    run = noted(
        "Run",
        key="run",
        type="primary",
        width="stretch",
        shortcut="Ctrl+Enter",
        icon=":material/play_arrow:",
        disabled=not can_run,
    )
    first, second, third = st.columns([1.2, 1, 1], gap="small")
    with first:
        if state == "paused":
            _button("Resume", "resume", "run", view_id, can.resume, "Go on from the checkpoint. (P)", "P")
        else:
            keeps = "Keep a checkpoint and free the slot. (P)"
            _button("Pause", "pause", "pause", view_id, can.pause, keeps, "P")
    with second:
        _button("Step", "step", "step", view_id, can.step, "Go on by one evaluation interval. (S)", "S")
    with third:
        _button("Stop", "stop", "stop", view_id, can.stop, "End it; what was computed is kept. (X)", "X")
    if experiment is not None and not mine and state in LIVE:
        st.caption(
            "You are watching somebody else's run. Press Run to have it as your own; nothing is computed twice."
        )
    return run


def _button(label: str, key: str, action: Action, view_id: str, can: bool, help_: str, shortcut: str) -> None:
    st.button(
        label,
        key=key,
        help=help_,
        disabled=not can,
        width="stretch",
        on_click=_request,
        args=(view_id, action),
        shortcut=shortcut,
    )


def _request(view_id: str, action: Action) -> None:
    """Do it, unless it is not the visitor's or has ended in the meantime."""
    try:
        if store().experiment(view_id).owner == visitor():
            store().request(view_id, action)
    except UnknownExperiment:
        return
    except StoreError as error:
        st.toast(error.told)
    except ValueError as error:
        st.toast(plain(str(error)))


def submit(table: dict[str, Any], class_id: str | None = None) -> str:
    """Check a form's table on the server and queue it, in a class where one is given; returns the view id.

    Raises:
        SpecError: One sentence about what cannot be run; nothing was queued.
        ClassRefusal: The class does not allow it at the moment.
    """
    if not table["arms"]:
        raise SpecError("No arm is chosen: choose at least one, such as none and dropout.")
    spec = ExperimentSpec.from_table(table)
    check_data(spec)
    check_budget(spec)
    if class_id is not None:
        return store().classes.submit(class_id, visitor(), spec)
    return store().submit(spec, owner=visitor())
