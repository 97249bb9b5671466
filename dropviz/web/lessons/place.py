"""Where somebody is in the lessons: lesson, step, run and prediction, all of it in the URL, so that a link or a reload keeps it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import streamlit as st

from dropviz.lessons import STEPS, Choose, Draw, Lesson, Step

RECORDED = "recorded"  # in place of a run's id
LONGEST = 200  # characters of a prediction in the URL
MEMORY = "lessons"  # lesson → run and prediction, for whoever goes to another page and comes back


@dataclass(frozen=True, kw_only=True)
class Place:
    """What the URL says; empty texts where it says nothing.

    Attributes:
        lesson: A lesson's name; empty for the list of all.
        step: What is shown of it.
        run: The id of a run, or ``recorded``.
        guess: The prediction: drawn values with commas between them, or the number of an option from 1.
    """

    lesson: str = ""
    step: Step = "claim"
    run: str = ""
    guess: str = ""


def here() -> Place:
    """From the URL; what it does not say of a lesson, from this session."""
    query = {name: st.query_params.get(name, "") for name in ("lesson", "step", "run", "guess")}
    step: Step = query["step"] if query["step"] in STEPS else "claim"
    known = _memory().get(query["lesson"], {})
    found = Place(
        lesson=query["lesson"],
        step=step,
        run=query["run"] or known.get("run", ""),
        guess=query["guess"][:LONGEST] or known.get("guess", ""),
    )
    remember(found)
    return found


def go(place: Place, **changes: str) -> None:
    """Go to a place, as the page's next pass: from a callback, or before ``st.rerun``."""
    found = replace(place, **cast(Any, changes))
    if found.lesson != place.lesson:
        known = _memory().get(found.lesson, {})
        found = replace(found, run=known.get("run", ""), guess=known.get("guess", ""))
    remember(found)
    st.query_params.from_dict({name: text for name, text in asdict(found).items() if text and found.lesson})


def remember(place: Place) -> None:
    """Keep the run and the prediction of a lesson for this session."""
    if place.lesson:
        _memory()[place.lesson] = {"run": place.run, "guess": place.guess}


def _memory() -> dict[str, dict[str, str]]:
    return cast(dict[str, dict[str, str]], st.session_state.setdefault(MEMORY, {}))


def drawn(draw: Draw, guess: str) -> list[float]:
    """A drawn prediction, brought into the chart; empty where the text is none for this chart."""
    try:
        values = [float(part) for part in guess.split(",")]
    except ValueError:
        return []
    if len(values) != len(draw.labels) or not all(map(math.isfinite, values)):
        return []
    low, high = draw.range
    return [min(max(value, low), high) for value in values]


def option(choose: Choose, guess: str) -> int:
    """Which option was chosen, from 0; −1 for none."""
    numbers = [str(number) for number in range(1, len(choose.options) + 1)]
    return numbers.index(guess) if guess in numbers else -1


def predicted(lesson: Lesson, guess: str) -> bool:
    """Whether there is a whole prediction for this lesson."""
    predict = lesson.predict
    return bool(drawn(predict, guess)) if isinstance(predict, Draw) else option(predict, guess) >= 0
