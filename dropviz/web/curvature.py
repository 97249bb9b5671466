"""The Curvature page: how the loss bends around the weights, at any step of a run."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dropviz.experiment import ExperimentSpec
from dropviz.store import Experiment
from dropviz.web import examples
from dropviz.web.board import Asked, board
from dropviz.web.fork import fork_panel, offer
from dropviz.web.presses import pressed
from dropviz.web.reader import shown_state
from dropviz.web.refreshes import finished_refreshes, nearest_refresh
from dropviz.web.sharing import keep, share
from dropviz.web.shown import example_of, go_to, named_run, shown_run, unknown


def page() -> None:
    """Draw the page for the experiment that the URL names, or for the example."""
    experiment, problem = shown_run(named_run())
    if problem:
        unknown(problem)
    elif experiment is not None:
        _measured(experiment)
        if st.context.is_embedded:
            return
        with st.container(horizontal=True):
            if pressed("This run in the Lab", type="tertiary", key="to_lab"):
                go_to("0_Lab.py", experiment.id)
            share(experiment, experiment.spec, "curvature")
            keep(experiment)
    else:
        _example()


def _measured(experiment: Experiment) -> None:
    """The board, and above it what was asked for of its spectrum."""
    above = st.container()
    count = finished_refreshes(experiment)
    asked = board(experiment.id, experiment.spec, shown_state(experiment), "curvature", count)
    _forking(above, experiment.id, experiment.spec, experiment, asked)
    if asked is not None and asked.what == "measure":
        st.session_state["asked"] = (experiment.id, asked.arm, asked.step)
    view_id, arm, step = st.session_state.get("asked", ("", "", 0))
    if view_id == experiment.id:
        with above:
            nearest_refresh(experiment, arm, step)


def _forking(
    above: DeltaGenerator,
    view_id: str,
    spec: ExperimentSpec,
    experiment: Experiment | None,
    asked: Asked | None,
) -> None:
    if asked is not None and asked.what == "fork":
        offer(view_id, asked.arm, asked.step)
    with above:
        fork_panel(view_id, spec, experiment)


def _example() -> None:
    name = example_of(st.session_state.get("form", ""))
    if name is None:
        st.header("How the loss bends around the weights")
        st.write(
            "Press **Run** in the Lab; what is measured of the curvature is shown here, while it trains."
        )
        return
    view_id = f"{examples.PREFIX}{name}"
    spec, above = examples.example(view_id).spec, st.container()
    _forking(above, view_id, spec, None, board(view_id, spec, "example", "curvature"))
