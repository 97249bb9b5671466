"""How long the experiment in the form takes on this server: roughly by arithmetic, or as it was measured; a button has it measured."""

from __future__ import annotations

import streamlit as st

from dropviz import settings
from dropviz.budget import check_budget, check_data
from dropviz.duration import duration, guessed, told
from dropviz.experiment import ExperimentSpec, SpecError
from dropviz.store import Estimate
from dropviz.store.records import LIVE
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.visitor import visitor

LOOK_SECONDS = 0.5


def amount(arms: int, seeds: int, steps: int) -> str:
    """So many arms, seeds and steps as a line: ``12,000 updates: 1 arm × 8 seeds × 1,500 steps``."""
    parts = ((arms, "arm"), (seeds, "seed"), (steps, "step"))
    counts = " × ".join(f"{count:,} {what}{'' if count == 1 else 's'}" for count, what in parts)
    return f"{arms * seeds * steps:,} updates: {counts}"


def amount_and_time(amount: str, spec: ExperimentSpec | None, *, key: str = "estimate") -> None:
    """One line: the amount of work, and the time that it takes, as far as that is known.

    Args:
        amount: What the line begins with.
        spec: What would run; None where the form does not make one.
        key: Of the button.
    """
    found = store().estimate(spec) if spec else None
    if spec and found and found.state in LIVE:
        _follow(amount, spec)
        return
    st.caption(f"{amount} · {_time(spec, found)}" if spec else amount)
    if found and found.state == "failed":
        st.caption(f"The time could not be measured: {plain(found.error or 'no reason was recorded.')}")
    if spec and (found is None or found.state != "done"):
        st.button(
            "Measure the time",
            key=key,
            type="tertiary",
            icon=":material/timer:",
            help="Measures a few steps of each arm on this server: seconds.",
            on_click=_ask,
            args=(spec,),
        )


def _time(spec: ExperimentSpec, found: Estimate | None) -> str:
    if found is None or found.state != "done":
        return guessed(spec, settings.slots())
    return told(duration(spec, found.costs, settings.slots()))


@st.fragment(run_every=LOOK_SECONDS)
def _follow(amount: str, spec: ExperimentSpec) -> None:
    """The line while the measuring waits or runs; when it has ended the page is drawn anew, without this timer."""
    found = store().estimate(spec)
    if found is None or found.state not in LIVE:
        st.rerun()
    doing = "measuring how long it takes" if found.state == "running" else "waiting to be measured"
    st.caption(f"{amount} · {doing} …")


def _ask(spec: ExperimentSpec) -> None:
    """Queue the measuring of what could be run."""
    try:
        check_data(spec)
        check_budget(spec)
        store().request_estimate(spec, owner=visitor())
    except SpecError as error:
        st.toast(plain(str(error)))
