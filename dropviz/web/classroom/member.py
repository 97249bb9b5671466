"""A class from a member's side: the link, the seat, what is locked, and everybody's results."""

from __future__ import annotations

import time
from dataclasses import dataclass

import streamlit as st

from dropviz.choices import SpecError
from dropviz.classes import openable
from dropviz.experiment import ExperimentSpec
from dropviz.store import ClassRefusal, Classroom, Experiment, UnknownClass
from dropviz.web.board import board
from dropviz.web.classroom.pooled import counted, view_of
from dropviz.web.knobs import Keys
from dropviz.web.live import pool, store
from dropviz.web.plain import plain
from dropviz.web.presses import noted, pressed
from dropviz.web.reader import shown_state
from dropviz.web.shown import PAGES, forget
from dropviz.web.visitor import visitor

PAGE = "7_Class.py"
MINE, EVERYBODY = "My run", "The class"


@dataclass(frozen=True, kw_only=True)
class Attended:
    """The class that a page is used in.

    Attributes:
        classroom: As it is now.
        code: Of its link.
        seat: The visitor's; none of the teacher, or of somebody who came too late.
        taught: Whether the visitor is the teacher.
        over: Why nothing new can be run, if so.
    """

    classroom: Classroom
    code: str
    seat: int | None
    taught: bool
    over: str

    def keys(self, source: str) -> Keys:
        """Of a form in which what is locked cannot be moved."""
        definition = self.classroom.definition
        return Keys(f"class:{self.code}:{source}", definition.locked)

    def start(self, spec: ExperimentSpec | None) -> ExperimentSpec:
        """What the form shows at first: the class's experiment, or of a run what its owner had changed."""
        return self.classroom.definition.start(spec)


def attended(*, join: bool = True) -> tuple[Attended | None, str]:
    """The class of the link in the URL, coming back from another page that of this session; and what is wrong with the link.

    Args:
        join: Take a seat, unless it is the teacher who comes.
    """
    named = st.query_params.get("class") or st.session_state.get("class")
    if not named:
        return None, ""
    try:
        classroom = store().classes.by_code(named)
    except (UnknownClass, SpecError) as error:  # or a definition of another version of this program
        st.session_state.pop("class", None)
        return None, str(error)
    code = store().classes.code(classroom)
    if st.session_state.get("class") != code:
        st.session_state["class"] = code
        st.session_state.pop("last_run", None)  # of before the class
    st.query_params["class"] = code
    return _attended(classroom, code, join), ""


def _attended(classroom: Classroom, code: str, join: bool) -> Attended:
    taught, over = classroom.owner == visitor(), classroom.ended(time.time())
    seat = store().classes.seat(classroom.id, visitor())
    if seat is None and join and not taught:
        try:
            seat = store().classes.join(classroom.id, visitor())
        except ClassRefusal as error:
            over = str(error)
    return Attended(classroom=classroom, code=code, seat=seat, taught=taught, over=over)


def welcome(attended: Attended, experiment: Experiment | None) -> bool:
    """Before the first run: what there is to do, above the results, with a button of its own; returns whether it was pressed.

    A phone shows the form only when it is asked for.
    """
    if experiment is not None or attended.over:
        return False
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(attended.classroom.definition.title)}.** {_place(attended)}", width="stretch")
        return noted("Run my seeds", key="begin", type="primary", icon=":material/play_arrow:")


def banner(attended: Attended) -> None:
    """Whose class it is, which seeds the visitor has, and what can be changed."""
    st.markdown(f":material/school: **{plain(attended.classroom.definition.title)}**")
    if attended.over:
        st.warning(plain(attended.over), icon=":material/lock_clock:")
    else:
        st.caption(_place(attended))
    st.caption(f":material/lock: {rules(attended.classroom)}")


def _place(attended: Attended) -> str:
    if attended.seat is None:
        return "You teach this class. Press Run to take a seat in it yourself."
    definition = attended.classroom.definition
    seeds = definition.dealt(definition.start(), attended.seat).seed_list()
    yours = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"
    return f"You have seat {attended.seat + 1}: {yours}, which nobody else has."


def rules(classroom: Classroom) -> str:
    """What is open and what is locked, in a sentence."""
    definition = classroom.definition
    names = openable(definition.spec)
    freely = ", ".join(names[key] for key in definition.open)
    if not freely:
        return "Everything is locked, so that all runs are of the same experiment."
    return f"Locked, but for: {plain(freely)}."


def leave_or_look(attended: Attended, experiment: Experiment | None) -> None:
    """The ways out of the form."""
    if pressed("Everybody's results", type="tertiary", key="to_class"):
        open_class(attended.code)
    if experiment is not None:
        st.button("Back to the class's settings", type="tertiary", on_click=forget, key="back")
    st.button("Leave the class", type="tertiary", on_click=leave, key="leave")


def leave() -> None:
    """Use the page outside of any class again; seat and results stay."""
    for name in ("class", "form", "form_run"):
        st.session_state.pop(name, None)
    st.query_params.pop("class", None)
    forget()


def open_class(code: str) -> None:
    """Go to the class's own page."""
    st.session_state["class"] = code
    st.switch_page(PAGES / PAGE, query_params={"class": code})


def results(attended: Attended, experiment: Experiment | None) -> None:
    """The visitor's run, or the whole class's."""
    if experiment is None:
        pool_board(attended.code)
        return
    chosen = st.segmented_control(
        "Show", [MINE, EVERYBODY], default=MINE, required=True, key="whose", label_visibility="collapsed"
    )
    if chosen == EVERYBODY:
        pool_board(attended.code)
    else:
        board(experiment.id, experiment.spec, shown_state(experiment))


def pool_board(code: str) -> None:
    """The live band of all runs with the same settings, with a menu where members chose different ones."""
    groups = {group.id: group for group in pool(view_of(code)).groups()}
    group = ""
    if len(groups) > 1:
        group = st.selectbox(
            "Settings",
            list(groups),
            format_func=lambda key: f"{groups[key].title} · {counted(groups[key].students, 'student')}",
            help="Runs with the same settings are pooled; of these, any arms.",
            key="class_group",
        )
    view = view_of(code, group)
    found = pool(view)
    board(view, found.spec, found.state, subject=found.subject())


def unknown_class(problem: str) -> None:
    """Say that a link is none."""
    st.header("This link leads to no class")
    st.text(problem)
    st.button("Go on without a class", on_click=leave, key="leave")
