"""The form of a sweep: what it starts from, one or two knobs with their values, arms and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dropviz.experiment import ExperimentSpec, SpecError, preset, preset_names
from dropviz.sweeps import Axis, Knob, Sweep, Value, grid, knobs, read_values, usual_values
from dropviz.web.forms import arms_and_amount
from dropviz.web.knobs import Keys, step_of

FIRST_CHOICES = ("p", "width")  # to begin with, where there are any
NO_KNOB = "nothing else"
START = "classroom"  # of the presets the quickest
RANGE, LIST = "Range", "List"
COUNT, MOST_VALUES = 5, 100
TYPED = "Separate by commas; or FROM:TO:COUNT, and FROM:TO:COUNT:log for a constant factor."


@dataclass(frozen=True, kw_only=True)
class Form:
    """What the form holds: a sweep, or why it holds none."""

    sweep: Sweep | None
    problem: str = ""


def sweep_form(base: Sweep | ExperimentSpec | None, source: str) -> Form:
    """Draw the form.

    Args:
        base: The sweep, or the run, that is shown, or the settings of a link; None where only a preset can be started from.
        source: A name for it; what was typed is kept as long as it stays the same.
    """
    names = preset_names()
    if base is None:
        chosen = st.selectbox(
            "Start from", names, names.index(START), format_func=_title, key="whatif/preset"
        )
        base, source = preset(chosen), f"preset:{chosen}"
    else:
        what = {"sweep": "This sweep", "run": "This run"}.get(source.partition(":")[0], "The link's settings")
        other = st.selectbox(
            "Start from",
            names,
            None,
            format_func=_title,
            placeholder=what,
            key=f"whatif/{source}/preset",
        )
        if other:
            base, source = preset(other), f"{source}/{other}"
    spec = base.base if isinstance(base, Sweep) else base
    axes = base.axes if isinstance(base, Sweep) else ()
    question = base.question if isinstance(base, Sweep) else ""

    try:
        return Form(sweep=_read(Keys(f"whatif/{source}"), spec, axes, question))
    except SpecError as error:
        return Form(sweep=None, problem=str(error))


def _read(key: Keys, spec: ExperimentSpec, axes: Sequence[Axis], question: str) -> Sweep:
    known = knobs(spec)
    before = [(axis.key, list(axis.values)) for axis in axes]
    usual = [name for name in FIRST_CHOICES if name in known] or list(known)
    first = before[0] if before else (usual[0], None)
    second = (
        before[1] if len(before) > 1 else (None if before else usual[1] if len(usual) > 1 else None, None)
    )
    problems: list[SpecError] = []
    found = [_axis(key, 0, known, first, problems), _axis(key, 1, known, second, problems)]
    table = spec.to_table()
    arms_and_amount(key, table)
    if problems:
        raise problems[0]
    if not table["arms"]:
        raise SpecError("No arm is chosen: choose at least one, such as none and dropout.")
    chosen = [axis for axis in found if axis is not None]
    same = bool(axes) and [axis.key for axis in chosen] == [axis.key for axis in axes]
    swept: Sweep = Sweep.from_table({"base": table, "axes": chosen, "question": question if same else ""})
    return swept


def _axis(
    key: Keys,
    number: int,
    known: Mapping[str, Knob],
    start: tuple[str | None, list[Value] | None],
    problems: list[SpecError],
) -> Axis | None:
    """One knob with its values; a list that cannot be read is a problem, and the rest of the form is drawn all the same."""
    name, values = start
    options = [NO_KNOB, *known] if number else list(known)
    chosen = st.selectbox(
        "and" if number else "Vary",
        options,
        options.index(str(name)) if name in known else 0,
        format_func=lambda option: known[option].title if option in known else option,
        key=key(f"knob{number}"),
    )
    if chosen == NO_KNOB:
        return None
    knob = known[chosen]
    shown = values if values is not None and chosen == start[0] else usual_values(knob)
    try:
        return Axis(key=chosen, values=tuple(_values(Keys(key(f"{number}/{chosen}")), knob, shown)))
    except SpecError as error:
        problems.append(error)
        return None


def _values(key: Keys, knob: Knob, shown: list[Value]) -> list[Value]:
    label = f"Values of {knob.title}"
    if knob.kind in ("choice", "switch"):
        options = list(knob.choices) or [False, True]
        return _some(
            st.multiselect(
                label,
                options,
                shown,
                format_func=lambda one: (
                    {True: "on", False: "off"}.get(one, str(one)) if knob.kind == "switch" else str(one)
                ),
                key=key("choices"),
                label_visibility="collapsed",
            )
        )
    numeric = knob.kind in ("number", "whole")
    how = (
        st.segmented_control(
            f"{label}: how",
            [LIST, RANGE],
            default=LIST,
            required=True,
            key=key("how"),
            label_visibility="collapsed",
        )
        if numeric
        else LIST
    )
    if how == RANGE:
        return _range(key, knob, [float(value) for value in shown if isinstance(value, int | float)])
    text = ", ".join(map(_typed, shown))
    typed = st.text_input(label, text, help=TYPED, key=key("list"), label_visibility="collapsed")
    return read_values(typed)


def _range(key: Keys, knob: Knob, shown: list[float]) -> list[Value]:
    whole = knob.kind == "whole"
    ends: list[Any] = [min(shown, default=0.1), max(shown, default=0.9)]
    ends = [int(end) if whole else end for end in ends]
    left, middle, right = st.columns(3, gap="small")
    look: dict[str, Any] = {} if whole else {"format": "%g", "step": step_of(ends[0])}
    low = left.number_input("From", value=ends[0], key=key("from"), **look)
    high = middle.number_input("To", value=ends[1], key=key("to"), **look)
    count = right.number_input("Values", 2, MOST_VALUES, COUNT, key=key("count"))
    log = st.toggle(
        "Constant factor",
        ends[0] > 0 and ends[1] / ends[0] >= 20,
        key=key("log"),
        help="Each value is the same factor above the one before, as 0.01, 0.1, 1.",
    )
    return grid(low, high, count, "log" if log else "linear", whole=whole)


def _some(values: list[Value]) -> list[Value]:
    if not values:
        raise SpecError("No values are chosen: choose at least one.")
    return values


def _typed(value: Value) -> str:
    return (
        str(value).replace("'", '"')
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _title(name: str) -> str:
    return name.replace("-", " ").capitalize()
