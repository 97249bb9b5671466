"""The Lessons page: the list of guided experiments, and one of them, step by step."""

from __future__ import annotations

import streamlit as st

from dropviz.analysis.claims import WORDS
from dropviz.lessons import STEPS, Entry, Lesson, entries, recorded
from dropviz.lessons.outcome import verdict
from dropviz.web.lessons.place import Place, go, here
from dropviz.web.lessons.predict import predict_step
from dropviz.web.lessons.reveal import BADGES, reveal_step
from dropviz.web.lessons.run import run_step
from dropviz.web.plain import plain

ALL = "All lessons"


def page() -> None:
    """Draw the lesson that the URL names, or the list."""
    place = here()
    try:
        known = entries()
    except ValueError as error:  # the settings name no usable folder
        st.error(plain(str(error)), icon=":material/error:")
        return
    with st.sidebar:
        _menu(known, place)
    chosen = next((entry for entry in known if entry.name == place.lesson), None)
    if chosen is None:
        _list(known, place)
    elif chosen.lesson is None:
        st.header(plain(chosen.path.name))
        st.error(plain(chosen.problem), icon=":material/error:")
    else:
        _lesson(known, chosen, chosen.lesson, place)


def _menu(known: list[Entry], place: Place) -> None:
    names = ["", *(entry.name for entry in known)]
    titles = {"": ALL} | {
        entry.name: f"{number}. {entry.title}" for number, entry in enumerate(known, start=1)
    }
    key = f"menu/{place.lesson}"
    st.radio(
        "Lessons",
        names,
        names.index(place.lesson) if place.lesson in names else 0,
        format_func=lambda name: plain(titles[name]),
        key=key,
        on_change=lambda: go(place, lesson=st.session_state[key], step="claim"),
    )


def _list(known: list[Entry], place: Place) -> None:
    if place.lesson:
        st.warning(
            plain(f"There is no lesson {place.lesson[:40]!r}. These are there:"), icon=":material/warning:"
        )
    minutes = sum(entry.lesson.minutes for entry in known if entry.lesson)
    st.header("Lessons")
    st.markdown(
        f"{len(known)} guided experiments, {minutes} minutes in all. In each you say what you expect, run it on this server, and"
        " see what comes out, with the equation beside its numbers."
    )
    for number, entry in enumerate(known, start=1):
        with st.container(border=True):
            _card(number, entry, place)


def _card(number: int, entry: Entry, place: Place) -> None:
    lesson = entry.lesson
    if lesson is None:
        st.error(plain(entry.problem), icon=":material/error:")
        return
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.markdown(f"**{number}. {plain(lesson.title)}** · {lesson.minutes} min")
    left.markdown(f"{plain(lesson.claim)} {_badge(entry)}")
    right.button(
        "Begin",
        key=f"begin/{entry.name}",
        help=lesson.title,
        width="stretch",
        on_click=go,
        args=(place,),
        kwargs={"lesson": entry.name, "step": "claim"},
    )


def _badge(entry: Entry) -> str:
    """What the record says of the claim; empty where there is none."""
    known = recorded(entry)
    if known is None:
        return ""
    found = verdict(known.judgements)
    return BADGES[found].format(f"{WORDS[found]} · {known.measured.seeds} seeds")


def _lesson(known: list[Entry], entry: Entry, lesson: Lesson, place: Place) -> None:
    number = known.index(entry) + 1
    st.header(f"{number}. {plain(lesson.title)}")
    st.markdown(f":primary[**Claim.**] {plain(lesson.claim)}")
    _steps(place)
    if place.step == "claim":
        st.markdown(lesson.texts["Idea"])
        st.button(
            "Predict what happens",
            type="primary",
            icon=":material/arrow_forward:",
            on_click=go,
            args=(place,),
            kwargs={"step": "predict"},
            key="to_predict",
        )
    elif place.step == "predict":
        predict_step(entry, lesson, place)
    elif place.step == "run":
        run_step(entry, lesson, place)
    else:
        reveal_step(entry, lesson, place)
        _onward(known, number, place)


def _steps(place: Place) -> None:
    """The steps as one row of buttons, the present one marked."""
    key = f"steps/{place.lesson}/{place.step}"
    st.segmented_control(
        "Step",
        STEPS,
        default=place.step,
        format_func=lambda step: f"{STEPS.index(step) + 1} {step.capitalize()}",
        key=key,
        label_visibility="collapsed",
        on_change=lambda: go(place, step=st.session_state[key] or place.step),
    )


def _onward(known: list[Entry], number: int, place: Place) -> None:
    """To the lesson after this one, or back to the list."""
    following = known[number] if number < len(known) else None
    st.button(
        f"Next lesson: {plain(following.title)}" if following else ALL,
        type="primary",
        icon=":material/arrow_forward:",
        on_click=go,
        args=(place,),
        kwargs={"lesson": following.name if following else "", "step": "claim"},
        key="next",
    )
