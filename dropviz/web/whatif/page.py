"""The What-if page: the sweep in the URL, or the questions and sweeps to choose from; the form beside both."""

from __future__ import annotations

import streamlit as st

from dropviz.choices import SpecError
from dropviz.experiment import ExperimentSpec, canonical_json
from dropviz.experiment.links import own, spec_of
from dropviz.store import UnknownExperiment, UnknownSweep
from dropviz.store.sweeps import DeletedSweep
from dropviz.sweeps import Sweep, check_sweep
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.presses import answered, noted
from dropviz.web.visitor import visitor
from dropviz.web.whatif.form import Form, sweep_form
from dropviz.web.whatif.lists import choose, restore
from dropviz.web.whatif.reader import SweepReader, sweep_reader
from dropviz.web.whatif.timing import cells_and_time
from dropviz.web.whatif.view import show

MANY_CELLS = 50  # from which on queueing them takes long enough to say so


def page() -> None:
    """Draw the page."""
    reader, problem = _named_sweep()
    base, source = _base(reader)
    with st.sidebar:
        _left(reader, base, source)
    if problem is not None:
        st.header("This sweep is not here")
        st.text(str(problem))
        if isinstance(problem, DeletedSweep) and problem.owner == visitor():
            st.button("Undo", on_click=restore, args=(st.query_params["sweep"],))
        st.button("Show the questions", on_click=leave)
    elif reader is not None:
        show(reader)
    else:
        asked = choose()
        if asked is not None:
            start(asked.sweep(), asked.show)


def leave() -> None:
    """Show no sweep any more."""
    for name in ("sweep", "show"):
        st.query_params.pop(name, None)


def start(sweep: Sweep, measure: str = "") -> None:
    """Queue a sweep and go to it; what cannot be run is said where it was asked for.

    Raises:
        SpecError: One sentence about what cannot be run; nothing was queued.
    """
    check_sweep(sweep)
    cells = len(sweep.cells())
    with st.spinner(f"Queueing {cells:,} cells …", show_time=False) if cells >= MANY_CELLS else st.empty():
        sweep_id = store().sweeps.submit(sweep, owner=visitor())
    st.session_state["whatif"] = f"sweep:{sweep_id}"
    st.query_params.clear()
    st.query_params["sweep"] = sweep_id
    if measure:
        st.query_params["show"] = measure
    st.rerun()


def _named_sweep() -> tuple[SweepReader | None, ValueError | None]:
    named = st.query_params.get("sweep")
    if not named:
        return None, None
    try:
        store().sweeps.get(named)  # a reader that is there already knows of no deletion
        return sweep_reader(store(), named), None
    except (UnknownSweep, SpecError) as error:  # or one of another version of this program
        return None, error


def _base(reader: SweepReader | None) -> tuple[Sweep | ExperimentSpec | None, str]:
    """What the form starts from: the sweep that is shown, the run or the settings of the URL, else nothing but the presets."""
    if reader is not None:
        return reader.sweep, f"sweep:{reader.id}"
    named, linked = st.query_params.get("run"), own(st.query_params.to_dict())
    try:
        if named:
            return store().experiment(named).spec, f"run:{named}"
        return (spec_of(linked), f"link:{canonical_json(linked)}") if linked else (None, "")
    except (UnknownExperiment, SpecError) as error:
        st.toast(plain(str(error)))
        return None, ""


def _left(reader: SweepReader | None, base: Sweep | ExperimentSpec | None, source: str) -> None:
    top = st.container()
    messages = st.container()
    form: Form = sweep_form(base, source)
    with top:
        run = noted(
            "Run",
            key="run_sweep",
            type="primary",
            width="stretch",
            shortcut="Ctrl+Enter",
            icon=":material/play_arrow:",
            help="Computes only what nobody has computed yet.",
        )
    with messages:
        cells_and_time(form)
        if run:
            answered("run_sweep")
            _run(form, reader)
    if reader is not None:
        st.button("All questions and sweeps", type="tertiary", on_click=leave, key="leave")


def _run(form: Form, reader: SweepReader | None) -> None:
    if form.sweep is None:
        st.error(plain(form.problem), icon=":material/error:")
        return
    try:
        start(form.sweep, st.query_params.get("show", "") if reader else "")
    except SpecError as error:
        st.error(plain(str(error)), icon=":material/error:")
