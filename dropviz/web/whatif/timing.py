"""How much a sweep is and how long it takes here: what is known of that, or a button that has it measured."""

from __future__ import annotations

from functools import lru_cache

import streamlit as st

from dropviz import settings
from dropviz.choices import SpecError
from dropviz.duration import Costs, shown_seconds
from dropviz.store import Estimate
from dropviz.store.records import LIVE
from dropviz.sweeps import Sweep, check_sweep, representatives, sweep_duration
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.visitor import visitor
from dropviz.web.whatif.form import Form

LOOK_SECONDS = 0.5


def cells_and_time(form: Form) -> None:
    """One line: the amount of work, what is there already, and the time that the rest takes, as far as that is known."""
    if form.sweep is None:
        st.caption(plain(form.problem))
        return
    try:
        check_sweep(form.sweep)  # first: the time of what cannot be run takes long to guess
    except SpecError as error:
        st.caption(plain(str(error)))
        return
    found = _estimates(form.sweep)
    if any(one and one.state in LIVE for one in found.values()):
        _follow(form.sweep)
        return
    known = all(one and one.state == "done" for one in found.values())
    st.caption(
        f"{amount(form.sweep)} · {told(form.sweep) if known else _guessed(form.sweep, settings.slots())}"
    )
    failed = [one for one in found.values() if one and one.state == "failed"]
    if failed:
        st.caption(f"The time could not be measured: {plain(failed[0].error or 'no reason was recorded.')}")
    if not known:
        st.button(
            "Measure the time",
            key="estimate_sweep",
            type="tertiary",
            icon=":material/timer:",
            help="Measures a few steps of a few cells on this server: seconds.",
            on_click=_ask,
            args=(form.sweep,),
        )


def amount(sweep: Sweep) -> str:
    """``15 cells × 3 arms × 6 seeds × 300 steps``."""
    base = sweep.base
    counts = (
        (len(sweep.cells()), "cell"),
        (len(base.arms), "arm"),
        (base.seeds, "seed"),
        (base.train.steps, "step"),
    )
    return " × ".join(f"{count:,} {what}{'' if count == 1 else 's'}" for count, what in counts)


def told(sweep: Sweep) -> str:
    """``about 40 s here``, less what is there already; to be called where all estimates are done."""
    costs = {place: one.costs for place, one in _estimates(sweep).items() if one}
    takes = sweep_duration(sweep, costs, store().sweeps.missing(sweep), settings.slots())
    if not takes.jobs:
        return "all of it is there already"
    line = f"about {shown_seconds(takes.seconds)} here"
    if takes.computed:
        line += f" for the rest: {takes.computed:,} of {takes.asked:,} results are there already"
    return line


@lru_cache(maxsize=64)  # 0.4 s for 400 cells of 6 arms, and a page is drawn anew with every change
def _guessed(sweep: Sweep, slots: int) -> str:
    """``roughly 40 s`` for all of it, by arithmetic, whatever is there already."""
    cells = sweep.cells()
    costs = {
        place: {arm: Costs.rough(cells[place], arm) for arm in cells[place].arms}
        for place in representatives(sweep)
    }
    everything = [dict.fromkeys(cell.arms, cell.seed_list()) for cell in cells]
    return f"roughly {shown_seconds(sweep_duration(sweep, costs, everything, slots).seconds)}"


def known_time(sweep: Sweep) -> str:
    """The same where everything about it is known; else nothing."""
    known = all(one and one.state == "done" for one in _estimates(sweep).values())
    return told(sweep) if known else ""


def _estimates(sweep: Sweep) -> dict[int, Estimate | None]:
    cells = sweep.cells()
    return {place: store().estimate(cells[place]) for place in representatives(sweep)}


@st.fragment(run_every=LOOK_SECONDS)
def _follow(sweep: Sweep) -> None:
    """The line while the measuring waits or runs; when it has ended the page is drawn anew, without this timer."""
    found = _estimates(sweep)
    if not any(one and one.state in LIVE for one in found.values()):
        st.rerun()
    running = any(one and one.state == "running" for one in found.values())
    doing = "measuring how long it takes" if running else "waiting to be measured"
    st.caption(f"{amount(sweep)} · {doing} …")


def _ask(sweep: Sweep) -> None:
    """Queue the measuring of what could be run."""
    try:
        check_sweep(sweep)
        for place in representatives(sweep):
            store().request_estimate(sweep.cells()[place], owner=visitor())
    except SpecError as error:
        st.toast(plain(str(error)))
