"""What the form starts from, and how it and the URL keep in step: a link opens it, a change of it is a change of the URL.

Where the two differ, one of them was changed: the URL by a link, or by going back and forward; the form by hand. A form that
was just changed wins, and so does one whose settings went into the URL a moment ago: what the browser said may be older.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from dropviz.experiment import ExperimentSpec, SpecError, canonical_json, preset, preset_names
from dropviz.experiment.links import PRESET, own, query_of, spec_of
from dropviz.store import Experiment, UnknownExperiment
from dropviz.web.live import store
from dropviz.web.shown import arrived, name_in_url, named_lately, preset_of


def source(experiment: Experiment | None) -> tuple[str, ExperimentSpec]:
    """Where the form starts from: what was chosen here last, else the experiment or the settings in the URL.

    It begins with ``preset:``, ``run:`` or ``link:``, and is another one whenever the form is to start anew.
    """
    state = st.session_state
    state.setdefault("form", f"preset:{preset_names()[0]}")
    if experiment is not None:
        if arrived() or state.get("form_run") != experiment.id:
            state["form_run"] = experiment.id
            state["form"] = f"run:{experiment.id}"
    else:
        state["form_run"] = None
        asked = _asked()
        if asked and "linked" not in state:
            open_link(asked)
        elif arrived() and "linked" in state:  # the widgets have forgotten what they held
            open_link(asked or state["linked"] or {})
            name_in_url(state["linked"])
        elif "linked" not in state:
            _stand_for({}, preset(preset_names()[0]))
    start = _start(state["form"])  # where its run is gone, it is another one then
    return state["form"], start


def _start(form: str) -> ExperimentSpec:
    kind, _, name = form.partition(":")
    if kind == "preset":
        return preset(name)
    if kind == "link":
        return st.session_state["form_start"]
    try:
        return store().experiment(name).spec
    except (UnknownExperiment, SpecError):
        open_link({})
        return st.session_state["form_start"]


def follow(table: dict[str, Any], spec: ExperimentSpec | None, experiment: Experiment | None) -> None:
    """Bring form and URL in step, once the form is drawn.

    Args:
        table: What the form holds.
        spec: What that makes; None where it is refused, so that no link could open it.
        experiment: What is shown; where there is something, the URL is about that alone.
    """
    state, text = st.session_state, canonical_json(table)
    edited, state["form_table"] = text != state.get("form_table"), text
    if experiment is not None:
        state["linked"], state["linked_spec"], state["link_problem"] = None, "", ""
        return
    asked = _asked()
    if asked != state.get("linked") and not edited and not named_lately():
        open_link(asked)
        st.rerun()
    if spec is None or spec.canonical() == state.get("linked_spec"):
        return
    try:
        query = query_of(spec)
    except SpecError:  # too long for a link, which Share says
        return
    name_in_url(query)
    _stand_for(query, spec)


def open_link(query: dict[str, str]) -> None:
    """Start the form anew from a query; where that makes no spec, from its preset, else from the first one."""
    names, problem = preset_names(), ""
    name = query.get(PRESET, names[0])
    name = name if name in names else names[0]
    try:
        spec = spec_of(query)
    except SpecError as error:
        spec, problem = preset(name), str(error)
    state = st.session_state
    state["turn"] = state.get("turn", 0) + 1
    state["form"], state["form_start"] = f"link:{state['turn']}:{name}", spec
    _stand_for(query, spec, problem)


def problem() -> str:
    """What is wrong with the settings in the URL, if anything is."""
    return st.session_state.get("link_problem", "")


def choose_preset(name: str) -> None:
    """Start the form anew from a preset."""
    st.session_state["form"] = f"preset:{name}"


def form_preset() -> str | None:
    """The preset that the form started from; None of an experiment's."""
    return preset_of(st.session_state.get("form", ""))


def _asked() -> dict[str, str]:
    return own(st.query_params.to_dict())


def _stand_for(query: dict[str, str], spec: ExperimentSpec, problem: str = "") -> None:
    """Remember what the URL holds and which settings that stands for."""
    st.session_state["linked"] = query
    st.session_state["linked_spec"] = spec.canonical()
    st.session_state["link_problem"] = problem
