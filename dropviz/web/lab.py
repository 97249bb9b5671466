"""The Lab page: the form and the buttons on the left, the live board beside them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dropviz.experiment import ExperimentSpec, SpecError, preset, preset_names
from dropviz.store import ClassRefusal, Experiment, StoreError
from dropviz.web import examples, linked
from dropviz.web.board import board
from dropviz.web.classroom import member as classroom
from dropviz.web.classroom.member import Attended
from dropviz.web.classroom.teach import teach_button
from dropviz.web.controls import buttons, submit
from dropviz.web.estimates import amount, amount_and_time
from dropviz.web.fork import fork_panel, offer_button
from dropviz.web.forms import spec_form
from dropviz.web.knobs import Keys
from dropviz.web.plain import plain
from dropviz.web.presses import answered, pressed
from dropviz.web.reader import shown_state
from dropviz.web.sharing import keep, share
from dropviz.web.shown import example_of, forget, go_to, named_run, shown_run, unknown
from dropviz.web.tour import tour, tour_button


def page() -> None:
    """Draw the page for the experiment that the URL names, or for the example; in somebody's frame the result alone."""
    room, wrong_link = classroom.attended()
    experiment, problem = shown_run(named_run())
    if st.context.is_embedded:
        linked.source(experiment)
    elif room is None:
        _form(experiment)
    else:
        _class_form(experiment, room)
    if wrong_link:
        classroom.unknown_class(wrong_link)
    elif problem:
        unknown(problem)
    elif room is not None:
        classroom.results(room, experiment)
    elif experiment is not None:
        if not st.context.is_embedded:
            fork_panel(experiment.id, experiment.spec, experiment)
        board(experiment.id, experiment.spec, shown_state(experiment))
    else:
        _example()


def _form(experiment: Experiment | None) -> None:
    with st.sidebar:
        table, messages, run = _left(experiment)
    if run:
        _run(table, messages)
    tour()
    if linked.problem():
        st.error(plain(f"This link's settings are not used. {linked.problem()}"), icon=":material/link_off:")


def _left(experiment: Experiment | None) -> tuple[dict[str, Any], Any, bool]:
    source, start = linked.source(experiment)
    _preset_menu(source)
    run = buttons(experiment)
    links = st.container(horizontal=True)
    messages = st.container()
    table = spec_form(Keys(source), start)
    spec = _spec(table)
    linked.follow(table, spec, experiment)
    with links:
        share(experiment, spec)
        keep(experiment)
    with messages:
        amount_and_time(_amount(table), spec)
    if experiment is not None and pressed("Curvature of this run", type="tertiary", key="to_curvature"):
        go_to("3_Curvature.py", experiment.id)
    teach_button(table)
    if experiment is not None:
        offer_button(experiment)
        if pressed("Vary a knob of this run", type="tertiary", key="to_what_if"):
            go_to("2_What_if.py", experiment.id)
        if pressed("Compare this run", type="tertiary", key="to_compare"):
            go_to("1_Compare.py", experiment.id, "runs")
        st.button("Back to the example", type="tertiary", on_click=forget, key="back")
    tour_button()
    return table, messages, run


def _class_form(experiment: Experiment | None, room: Attended) -> None:
    begun = classroom.welcome(room, experiment)
    with st.sidebar:
        table, run = _left_in_class(experiment, room)
    if run or begun:
        _run(table, st, room)  # a phone hides what is on the left


def _left_in_class(experiment: Experiment | None, room: Attended) -> tuple[dict[str, Any], bool]:
    """Of the same form what the class leaves open; the URL is about the class, not about settings."""
    # What Streamlit knows of a widget it keeps until the session ends, so the form stays the same one from run to run.
    if experiment is None or st.session_state.get("form_run") == experiment.id:
        source = "class"
    else:
        source = f"run:{experiment.id}"
    classroom.banner(room)
    run = buttons(experiment, can_run=not room.over)
    messages = st.container()
    table = spec_form(room.keys(source), room.start(None if experiment is None else experiment.spec))
    with messages:
        amount_and_time(_amount(table), _spec(table))
    if experiment is not None and pressed("Curvature of this run", type="tertiary", key="to_curvature"):
        go_to("3_Curvature.py", experiment.id)
    classroom.leave_or_look(room, experiment)
    return table, run


def _preset_menu(source: str) -> None:
    names, chosen = preset_names(), linked.form_preset()
    st.selectbox(
        "Preset",
        names,
        names.index(chosen) if chosen else None,
        format_func=lambda name: name.replace("-", " ").capitalize(),
        placeholder="As this experiment",
        key=f"preset/{source}",
        on_change=_choose_preset,
        args=(source,),
    )


def _choose_preset(source: str) -> None:
    """Start the form anew from the preset that was chosen in its menu.

    Streamlit also calls this where a menu was gone for a moment and the browser, which had not drawn that yet, tells what is in it: of
    a form that is not there any more, or what that form began with.
    """
    chosen = st.session_state.get(f"preset/{source}")
    if chosen and st.session_state["form"] == source and chosen != linked.form_preset():
        linked.choose_preset(chosen)


def _amount(table: dict[str, Any]) -> str:
    arms, seeds, steps = len(table["arms"]), table["seeds"] or 0, table["train"]["steps"] or 0
    return amount(arms, seeds, steps)


def _spec(table: dict[str, Any]) -> ExperimentSpec | None:
    """What Run would run; None where that is refused."""
    try:
        return ExperimentSpec.from_table(table)
    except SpecError:
        return None


def _run(table: dict[str, Any], messages: Any, room: Attended | None = None) -> None:
    answered("run")
    answered("begin")
    try:
        view_id = submit(table, room.classroom.id if room else None)
    except (SpecError, ClassRefusal) as error:
        messages.error(plain(str(error)), icon=":material/error:")
        return
    except StoreError as error:
        messages.error(error.told, icon=":material/error:")
        return
    st.session_state["form_run"] = view_id  # the form stays as it is
    linked.name_in_url({"run": view_id})
    st.rerun()


def _example() -> None:
    chosen = linked.form_preset()
    if chosen and chosen not in (*examples.example_names(), preset_names()[0]):
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
