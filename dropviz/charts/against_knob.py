"""Numbers of cells against one knob: lines with bands where the knob is a number, else points with error bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from dropviz.analysis import Interval
from dropviz.charts.style import QUIET, ArmStyle, arm_style, literal, translucent
from dropviz.charts.traces import BAND_ALPHA
from dropviz.sweeps import Cell, Measure, Sweep, Value, shown_value
from dropviz.sweeps.words import told

WIDE_RATIO = 20  # of the largest value to the smallest, from which on the axis has a constant factor
LIKE = {  # measure → the arm that it says most of, whose look it has
    "gain": "dropout",
    "explicit-share": "dropout-8",
    "faithfulness": "explicit+implicit",
    "gap": "explicit+implicit",
    "ratio": "explicit",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measure over the values of a knob, a cell a value."""

    measure: Measure
    cells: Sequence[Cell]
    positions: tuple[int, int] = (
        0,
        1,
    )  # in the sweep: that of the first cell, and how far it is from one to the next

    @property
    def name(self) -> str:
        """The arm of a score; the measure otherwise."""
        return self.measure.name.removeprefix("score:")

    @property
    def look(self) -> ArmStyle:
        """Of the arm."""
        return arm_style(LIKE.get(self.name, self.name))


def against_knob(sweep: Sweep, lines: Sequence[Line], title: str) -> go.Figure:
    """Lines of one unit over the first knob; ``customdata`` of a point is the position of its cell."""
    layout: dict[str, Any] = {"template": None, "yaxis": {"title": {"text": title}}}
    layout["xaxis"] = knob_axis(sweep) | {"title": {"text": sweep.titles()[0]}}
    layout |= {"showlegend": len(lines) > 1, "shapes": reference_line(lines[0].measure)}
    return go.Figure(traces(sweep, lines), layout=layout | {"annotations": why_empty(lines)})


def traces(sweep: Sweep, lines: Sequence[Line]) -> list[go.Scatter]:
    """The bands, and over them the points, of lines over the first knob."""
    values, numeric = sweep.axes[0].values, _numeric(sweep)
    x: list[Any] = list(values) if numeric else [literal(shown_value(value)) for value in values]
    bands = [_band(line, x) for line in lines] if numeric else []
    return [*bands, *(_points(line, x, numeric) for line in lines)]


def why_empty(lines: Sequence[Line], place: str = "") -> list[dict[str, Any]]:
    """Where there is no number at all: the reason of most cells, in the middle of the panel of these axes (``2``, ``3``, …)."""
    cells = [cell for line in lines for cell in line.cells]
    if any(cell.interval for cell in cells):
        return []
    (reason, _), *_ = Counter(cell.reason for cell in cells).most_common(1)
    middle = {"xref": f"x{place} domain", "yref": f"y{place} domain", "x": 0.5, "y": 0.5}
    return [{"text": literal(reason), "showarrow": False} | middle]


def _points(line: Line, x: list[Any], numeric: bool) -> go.Scatter:
    measure, look = line.measure, line.look
    first, stride = line.positions
    known = [cell.interval for cell in line.cells]
    y = [None if one is None else measure.factor * one.estimate for one in known]
    trace = go.Scatter(
        x=x,
        y=y,
        name=line.name,
        mode="lines+markers" if numeric else "markers",
        line={"color": look.light, "dash": look.dash, "width": 2.5},
        marker={"color": look.light, "symbol": look.marker, "size": 10},
        legendgroup=line.name,
        customdata=[first + stride * index for index in range(len(x))],
        hovertext=[f"{line.name}<br>{told(measure, cell)}" for cell in line.cells],
        hovertemplate="%{hovertext}<extra>%{x}</extra>",
        connectgaps=True,
    )
    if not numeric:
        trace.error_y = {
            "type": "data",
            "symmetric": False,
            "array": [0.0 if one is None else _distance(measure, one.upper, one) for one in known],
            "arrayminus": [0.0 if one is None else _distance(measure, one.lower, one) for one in known],
            "color": look.light,
        }
    return trace


def _distance(measure: Measure, bound: float | None, one: Interval) -> float:
    return 0.0 if bound is None else abs(measure.factor * (bound - one.estimate))


def _band(line: Line, x: list[Any]) -> go.Scatter:
    factor, there = line.measure.factor, []
    for value, cell in zip(x, line.cells, strict=True):
        if cell.interval and cell.interval.lower is not None and cell.interval.upper is not None:
            there.append((value, factor * cell.interval.lower, factor * cell.interval.upper))
    around = [(value, low) for value, low, _ in there] + [(value, high) for value, _, high in reversed(there)]
    return go.Scatter(
        x=[value for value, _ in around],
        y=[bound for _, bound in around],
        name=f"{line.name}: 95 % interval",
        mode="lines",
        fill="toself",
        fillcolor=translucent(line.look.light, BAND_ALPHA),
        line={"width": 0, "color": line.look.light},
        legendgroup=line.name,
        showlegend=False,
        hoverinfo="skip",
    )


def knob_axis(sweep: Sweep) -> dict[str, Any]:
    """The axis of the first knob: ticks at its values, a constant factor where they reach over more than one power of ten."""
    return _scale(sweep.axes[0].values) if _numeric(sweep) else {"type": "category"}


def _numeric(sweep: Sweep) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in sweep.axes[0].values
    )


def _scale(values: Sequence[Value]) -> dict[str, Any]:
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    wide = min(numbers) > 0 and max(numbers) / min(numbers) >= WIDE_RATIO
    return {
        "type": "log" if wide else "linear",
        "tickvals": numbers,
        "ticktext": [shown_value(value) for value in values],
    }


def reference_line(measure: Measure, place: str = "") -> list[dict[str, Any]]:
    """What the measure is compared with, if anything, across the panel of these axes."""
    if measure.reference is None:
        return []
    at = measure.factor * measure.reference
    line = {"color": QUIET["light"], "width": 1.5, "dash": "dot"}
    across = {"xref": f"x{place} domain", "yref": f"y{place}", "x0": 0, "x1": 1, "y0": at, "y1": at}
    return [{"type": "line", "line": line} | across]
