"""Which run a page shows: the one in the URL, the last one of the session, or a result that comes with the program."""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from dropviz.experiment import SpecError, preset_names
from dropviz.experiment.links import own
from dropviz.store import Experiment, UnknownExperiment
from dropviz.web import examples
from dropviz.web.live import store

PAGES = Path(__file__).resolve().parents[2] / "pages"
SETTLED_SECONDS = 2.0


def arrived() -> bool:
    """Whether another page was open in this session when the script ran last; ``main`` says so."""
    return st.session_state.get("arrived", False)


def named_run() -> str | None:
    """The run in the URL; coming from another page without anything in it, the last one of this session."""
    named = st.query_params.get("run")
    back = arrived() and not own(st.query_params.to_dict())
    if not named and (back or named_lately()):
        named = st.session_state.get("last_run")
        if named:
            st.query_params["run"] = named
    st.session_state["last_run"] = named
    return named


def name_in_url(query: dict[str, str]) -> None:
    """Put a run or settings into the URL in place of others; what else is in it stays."""
    there = st.query_params.to_dict()
    gone = {"run", *own(there)}
    st.query_params.from_dict({key: text for key, text in there.items() if key not in gone} | query)
    st.session_state["named_at"] = time.monotonic()
    st.session_state["last_run"] = query.get("run")


def named_lately() -> bool:
    """Whether that was a moment ago, so that what a browser says of its URL may still be what was there before."""
    return time.monotonic() - st.session_state.get("named_at", float("-inf")) < SETTLED_SECONDS


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
    wanted = preset_of(form) or preset_names()[0]
    return wanted if wanted in names else next(iter(names), None)


def preset_of(form: str) -> str | None:
    """The preset that a form started from, by where it started (see ``linked.source``); None of an experiment's."""
    return None if form.startswith("run:") else form.rpartition(":")[2] or None


def unknown(problem: str) -> None:
    """Say that there is no such run."""
    st.header("This run is not here")
    st.text(problem)
    st.button("Show the example", on_click=forget, key="forget")


def forget() -> None:
    """Show no run of anybody's any more."""
    st.session_state.pop("last_run", None)
    st.session_state["linked"] = {}  # the URL is about to be about the form again
    st.query_params.pop("run", None)


def go_to(file: str, view_id: str, name: str = "run") -> None:
    """Open another page with the same run, which its URL calls ``name``."""
    st.switch_page(PAGES / file, query_params={name: view_id})
