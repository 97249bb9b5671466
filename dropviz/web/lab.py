"""The Lab page: the form and the buttons on the left, the live board beside them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dropviz.experiment import ExperimentSpec, SpecError, preset, preset_names
from dropviz.store import ClassRefusal, Experiment, UnknownExperiment
from dropviz.web import classroom, examples
from dropviz.web.board import board
from dropviz.web.classroom import Attended
from dropviz.web.controls import buttons, submit
from dropviz.web.estimates import amount, amount_and_time
from dropviz.web.fork import fork_panel, offer_button
from dropviz.web.forms import spec_form
from dropviz.web.knobs import Keys
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.reader import shown_state
from dropviz.web.shown import example_of, forget, go_to, named_run, shown_run, unknown
from dropviz.web.teach import teach_button
from dropviz.web.tour import tour, tour_button


def page() -> None:
    """Draw the page for the experiment that the URL names, or for the example."""
    room, wrong_link = classroom.attended()
    experiment, problem = shown_run(named_run())
    begun = room is not None and classroom.welcome(room, experiment)
    with st.sidebar:
        table, messages, pressed = _left(experiment, room)
    if pressed or begun:
        _run(table, messages, room)
    if room is None:
        tour()
    if wrong_link:
        classroom.unknown_class(wrong_link)
    elif problem:
        unknown(problem)
    elif room is not None:
        classroom.results(room, experiment)
    elif experiment is not None:
        fork_panel(experiment.id, experiment.spec, experiment)
        board(experiment.id, experiment.spec, shown_state(experiment))
    else:
        _example()


def _left(experiment: Experiment | None, room: Attended | None) -> tuple[dict[str, Any], Any, bool]:
    source, start = _source(experiment)
    if room is None:
        _preset_menu(source)
    else:
        classroom.banner(room)
    pressed = buttons(experiment, can_run=not (room and room.over))
    messages = st.container()
    table = (
        spec_form(room.keys(source), room.start(source, start)) if room else spec_form(Keys(source), start)
    )
    with messages:
        amount_and_time(_amount(table), _spec(table))
    if experiment is not None and st.button("Curvature of this run", type="tertiary", key="to_curvature"):
        go_to("3_Curvature.py", experiment.id)
    if room is not None:
        classroom.leave_or_look(room, experiment)
        return table, messages, pressed
    teach_button(table)
    if experiment is not None:
        offer_button(experiment)
        if st.button("Vary a knob of this run", type="tertiary", key="to_what_if"):
            go_to("2_What_if.py", experiment.id)
        st.button("Back to the example", type="tertiary", on_click=forget, key="back")
    tour_button()
    return table, messages, pressed


def _preset_menu(source: str) -> None:
    names = preset_names()
    st.selectbox(
        "Preset",
        names,
        names.index(source.removeprefix("preset:")) if source.startswith("preset:") else None,
        format_func=lambda name: name.replace("-", " ").capitalize(),
        placeholder="As this experiment",
        key=f"preset/{source}",
        on_change=_choose_preset,
        args=(f"preset/{source}",),
    )


def _source(experiment: Experiment | None) -> tuple[str, ExperimentSpec]:
    """Where the form starts from: what was chosen here last, else the experiment in the URL, else the first preset."""
    if experiment is not None and st.session_state.get("form_run") != experiment.id:
        st.session_state["form_run"] = experiment.id
        st.session_state["form"] = f"run:{experiment.id}"
    chosen = st.session_state.setdefault("form", f"preset:{preset_names()[0]}")
    kind, _, name = chosen.partition(":")
    if kind == "preset":
        return chosen, preset(name)
    try:
        return chosen, store().experiment(name).spec
    except (UnknownExperiment, SpecError):
        fallback = f"preset:{preset_names()[0]}"
        st.session_state["form"] = fallback
        return fallback, preset(preset_names()[0])


def _choose_preset(key: str) -> None:
    if st.session_state.get(key):
        st.session_state["form"] = f"preset:{st.session_state[key]}"


def _amount(table: dict[str, Any]) -> str:
    arms, seeds, steps = len(table["arms"]), table["seeds"] or 0, table["train"]["steps"] or 0
    return amount(arms, seeds, steps)


def _spec(table: dict[str, Any]) -> ExperimentSpec | None:
    """What Run would run; None where that is refused."""
    try:
        return ExperimentSpec.from_table(table)
    except SpecError:
        return None


def _run(table: dict[str, Any], messages: Any, room: Attended | None) -> None:
    try:
        view_id = submit(table, room.classroom.id if room else None)
    except (SpecError, ClassRefusal) as error:
        where = messages if room is None else st  # a phone hides what is on the left
        where.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state["form_run"] = view_id  # the form stays as it is
    st.query_params["run"] = view_id
    st.rerun()


def _example() -> None:
    kind, _, chosen = st.session_state["form"].partition(":")
    if kind == "preset" and chosen not in (*examples.example_names(), preset_names()[0]):
        st.header(preset(chosen).title())
        st.write(
            "This preset comes without a result. Press **Run**: training starts at once, and you watch it here."
        )
        return
    name = example_of(st.session_state["form"])
    if name is None:
        st.header("See what dropout does")
        st.write(
            "Choose a preset on the left and press **Run**: training starts at once, and you watch it here."
        )
        return
    view_id = f"{examples.PREFIX}{name}"
    board(view_id, examples.example(view_id).spec, "example")
