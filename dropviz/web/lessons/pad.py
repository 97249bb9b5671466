"""The chart that a prediction is drawn on, by mouse, finger or keys. Here is its Python half."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dropviz.charts import arm_style
from dropviz.lessons import Draw, Measured
from dropviz.lessons.outcome import given_values
from dropviz.web.component import component


def pad(key: str, draw: Draw, start: Sequence[float], known: Measured | None) -> list[float | None]:
    """Show the empty chart, and return what is drawn on it so far: a value a place, None where there is none yet.

    Args:
        key: The component's, one a lesson.
        draw: What is asked for.
        start: The values that it begins with; empty for none.
        known: Where the lines that are given are read from; without it there are none.
    """
    lines = []
    for line, values in zip(draw.given, given_values(draw, known), strict=True) if known else ():
        style = arm_style(line.arm)
        lines.append(
            {
                "label": line.label,
                "values": values,
                "color": {"light": style.light, "dark": style.dark},
                "dash": style.dash,
            }
        )
    data = {
        "subject": key,
        "x": draw.x,
        "y": draw.y,
        "labels": draw.labels,
        "positions": _positions(draw),
        "range": list(draw.range),
        "log": draw.log,
        "unit": draw.unit,
        "given": lines,
        "drawn": list(start),
    }
    found = component("dropviz_pad", "pad")(key=key, data=data, on_drawn_change=lambda: None).drawn
    if not isinstance(found, dict) or found.get("subject") != key:
        return list(start) or [None] * len(draw.labels)
    return drawn_of(found.get("values"), draw)


def _positions(draw: Draw) -> list[float]:
    """Of the points on the x axis, from 0 to 1."""
    if draw.steps:
        first, last = draw.steps[0], draw.steps[-1]
        return [(step - first) / (last - first) for step in draw.steps]
    return [place / (len(draw.places) - 1) for place in range(len(draw.places))]


def drawn_of(values: Any, draw: Draw) -> list[float | None]:
    """What a browser sent, which may be anything, as far as it is a number of the chart."""
    if not isinstance(values, list) or len(values) != len(draw.labels):
        return [None] * len(draw.labels)
    low, high = draw.range
    return [
        float(min(max(value, low), high)) if isinstance(value, int | float) and value == value else None
        for value in values
    ]
