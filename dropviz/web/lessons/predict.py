"""The second step of a lesson: say what you expect, before anything is shown."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dropviz.lessons import Choose, Draw, Entry, Lesson, recorded
from dropviz.web.lessons import place as places
from dropviz.web.lessons.pad import pad
from dropviz.web.lessons.place import Place, go


def predict_step(entry: Entry, lesson: Lesson, place: Place) -> None:
    """Draw the question, and the chart or the options to answer it with."""
    st.markdown(lesson.predict.question)
    if isinstance(lesson.predict, Draw):
        place = _draw(entry, lesson.predict, place)
    else:
        place = _choose(entry, lesson.predict, place)
    places.remember(place)
    whole = places.predicted(lesson, place.guess)
    row = st.container(horizontal=True)
    row.button(
        "Keep this and run",
        type="primary",
        icon=":material/arrow_forward:",
        disabled=not whole,
        help=None
        if whole
        else "Draw every point first."
        if isinstance(lesson.predict, Draw)
        else "Choose one first.",
        on_click=go,
        args=(place,),
        kwargs={"step": "run"},
        key="keep",
    )
    row.button(
        "Go on without a prediction",
        type="tertiary",
        on_click=go,
        args=(place,),
        kwargs={"step": "run", "guess": ""},
        key="skip",
    )


def _draw(entry: Entry, draw: Draw, place: Place) -> Place:
    known = recorded(entry)
    values = pad(
        f"pad/{entry.name}", draw, places.drawn(draw, place.guess), known.measured if known else None
    )
    whole = [value for value in values if value is not None]
    return replace(
        place, guess=",".join(f"{value:.4g}" for value in whole) if len(whole) == len(values) else ""
    )


def _choose(entry: Entry, choose: Choose, place: Place) -> Place:
    before = places.option(choose, place.guess)
    picked = st.radio(
        "Your prediction",
        range(len(choose.options)),
        before if before >= 0 else None,
        format_func=lambda number: choose.options[number],
        key=f"options/{entry.name}",
        label_visibility="collapsed",
    )
    return replace(place, guess="" if picked is None else str(picked + 1))
