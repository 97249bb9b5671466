"""Setting up a class on the experiment in the form."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from dropviz.budget import check_budget, check_data
from dropviz.classes import ClassDefinition, openable
from dropviz.experiment import ExperimentSpec, SpecError
from dropviz.web.classroom.member import open_class
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.presses import pressed
from dropviz.web.visitor import visitor

HOUR = 3600.0
ENDS: dict[str, float | None] = {
    "When I close it": None,
    "In 2 hours": 2 * HOUR,
    "In a day": 24 * HOUR,
    "In a week": 7 * 24 * HOUR,
}


def teach_button(table: dict[str, Any]) -> None:
    """A way from the form to a class on what it holds."""
    if pressed("Teach this", type="tertiary", icon=":material/school:", key="teach"):
        _dialog(table)


@st.dialog("Teach this experiment", width="medium")
def _dialog(table: dict[str, Any]) -> None:
    class_form(table)


def class_form(table: dict[str, Any]) -> None:
    """What a class has beside its experiment, and the button that creates it and goes to its page."""
    try:
        spec = _runnable(table)
    except SpecError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.write(
        "You get a link for your students. Each of them runs this with seeds of their own, and all of it comes together"
        " in one live band."
    )
    fields, names = ClassDefinition.model_fields, openable(spec)
    title = st.text_input(fields["title"].title or "", f"Dropout on {spec.data.name}", max_chars=80)
    opened = st.multiselect(
        fields["open"].title or "",
        list(names),
        format_func=names.__getitem__,
        placeholder="Nothing: all run the same",
        help="Everything else is locked, and checked by the server. Runs are pooled by what students changed.",
    )
    left, right = st.columns(2)
    seeds = left.number_input(
        fields["seeds"].title or "",
        1,
        32,
        3,
        help="Dealt by seat, so nobody computes what somebody else does.",
    )
    ends = right.selectbox("When it ends", list(ENDS))
    if pressed("Create the class", type="primary", key="create_class"):
        _create(spec, {"title": title, "open": opened, "seeds": seeds}, ENDS[ends])


def _create(spec: ExperimentSpec, choices: dict[str, Any], seconds: float | None) -> None:
    expires_at = None if seconds is None else time.time() + seconds
    try:
        definition = ClassDefinition.of(spec, **choices, expires_at=expires_at)
        check_budget(definition.start())
        created = store().classes.create(definition, visitor())
    except SpecError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    open_class(store().classes.code(created))


def _runnable(table: dict[str, Any]) -> ExperimentSpec:
    if not table["arms"]:
        raise SpecError("No arm is chosen: choose at least one, such as none and dropout.")
    spec = ExperimentSpec.from_table(table)
    check_data(spec)
    return spec
