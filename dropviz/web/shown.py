"""Which run a page shows: the one in the URL, the last one of the session, or a result that comes with the program."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dropviz.experiment import SpecError, preset_names
from dropviz.store import Experiment, UnknownExperiment
from dropviz.web import examples
from dropviz.web.live import store

PAGES = Path(__file__).resolve().parents[2] / "pages"


def named_run() -> str | None:
    """The run in the URL; coming back from another page, the last one of this session."""
    named = st.query_params.get("run")
    if named:
        st.session_state["last_run"] = named
        return named
    last = st.session_state.get("last_run")
    if last:
        st.query_params["run"] = last
    return last


def shown_run(view_id: str | None) -> tuple[Experiment | None, str]:
    """The experiment of this id, and what is wrong with it if it cannot be shown."""
    if view_id is None:
        return None, ""
    try:
        return store().experiment(view_id), ""
    except (UnknownExperiment, SpecError) as error:  # or a spec of another version of this program
        return None, str(error)


def example_of(form: str) -> str | None:
    """The name of the carried result to show beside a form: its preset's, else the first; None where there is none."""
    names = examples.example_names()
    kind, _, chosen = form.partition(":")
    wanted = chosen if kind == "preset" else preset_names()[0]
    return wanted if wanted in names else next(iter(names), None)


def unknown(problem: str) -> None:
    """Say that there is no such run."""
    st.header("This run is not here")
    st.text(problem)
    st.button("Show the example", on_click=forget, key="forget")


def forget() -> None:
    """Show no run of anybody's any more."""
    st.session_state.pop("last_run", None)
    st.query_params.pop("run", None)


def go_to(file: str, view_id: str) -> None:
    """Open another page with the same run."""
    st.switch_page(PAGES / file, query_params={"run": view_id})
