"""The charts of a reveal: a prediction beside the result, curves over steps, decision boundaries. Each with its table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from dropviz.analysis import Interval
from dropviz.charts import Subject, arm_style
from dropviz.charts.boundary import arrange
from dropviz.charts.boundary import chart as boundary
from dropviz.charts.style import INK, translucent
from dropviz.charts.traces import BAND_ALPHA, value_axis
from dropviz.experiment import ExperimentSpec
from dropviz.lessons.lesson import Curves, Draw, Line
from dropviz.lessons.measured import Measured
from dropviz.lessons.outcome import results, scaled
from dropviz.lessons.quantity import Quantity

HEIGHT = 360
Row = list[str]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A chart, the same as a table whose first row is the head, and a sentence for who cannot see it."""

    chart: go.Figure
    rows: list[Row]
    alt: str


def prediction(draw: Draw, drawn: Sequence[float], measured: Measured) -> Picture:
    """The result, with what was drawn before it was known; ``drawn`` is empty where nobody predicted.

    Raises:
        LookupError: The result was not measured.
    """
    found = results(draw, measured)
    positions = list(draw.steps) or list(range(len(draw.places)))
    figure = go.Figure(layout=_layout(draw.y, draw.log))
    for line in draw.given:
        _add(figure, line, *_points(draw, line.quantity, measured))
    result = Line(label=draw.label, arm=draw.arm, of=draw.of or draw.places[0].of)
    over = _over_steps(draw, measured) if draw.over_steps else (positions, found)
    _add(figure, result, *over, bars=not draw.over_steps)
    if drawn:
        figure.add_trace(_guess(positions, drawn))
    axis: dict[str, Any] = {"title": {"text": draw.x}}
    if draw.over_steps:
        axis |= {"tickformat": ",d"}
    else:
        axis |= {"tickvals": positions, "ticktext": draw.labels, "range": [-0.4, len(positions) - 0.6]}
    figure.update_layout(xaxis=axis)
    head = [draw.x, *(["your prediction"] if drawn else []), draw.label, "95 % interval"]
    rows = [
        [label, *([f"{drawn[place]:.4g}"] if drawn else []), f"{one.estimate:.4g}", _bounds(one)]
        for place, (label, one) in enumerate(zip(draw.labels, found, strict=True))
    ]
    first, last = found[0].estimate, found[-1].estimate
    alt = f"{draw.label}: {draw.y} goes from {first:.3g} at {draw.labels[0]} to {last:.3g} at {draw.labels[-1]}."
    alt += f" The prediction went from {drawn[0]:.3g} to {drawn[-1]:.3g}." if drawn else ""
    return Picture(chart=figure, rows=[head, *rows], alt=alt)


def curves(chart: Curves, measured: Measured) -> Picture:
    """Quantities over the steps of training, each with its band."""
    figure = go.Figure(layout=_layout(chart.y, chart.log))
    rows: list[Row] = [["line", "step", chart.y, "95 % interval"]]
    ends = []
    for line in chart.lines:
        steps = line.quantity.steps(measured.values)
        found = [scaled(line.quantity.interval(measured.values, step), chart) for step in steps]
        _add(figure, line, steps, found)
        rows += [
            [line.label, f"{step:,}", f"{one.estimate:.4g}", _bounds(one)]
            for step, one in zip(steps, found, strict=True)
        ]
        ends += [f"{line.label} {found[-1].estimate:.3g}"] if found else []
    figure.update_layout(xaxis={"title": {"text": "step"}, "tickformat": ",d"})
    return Picture(chart=figure, rows=rows, alt=f"{chart.title}. At the end: {', '.join(ends)}.")


def boundaries(spec: ExperimentSpec, measured: Measured) -> Picture:
    """The decision boundary of each arm's first seed."""
    subject = Subject.of(spec)
    figure = boundary.figure(subject)
    shares: list[Row] = [["arm", "share of the plane where class 1 is likelier"]]
    for trace in figure.data:
        meta = trace.meta or {}
        if meta.get("role") != "surface" or meta["arm"] not in measured.pictures:
            continue
        picture, (left, right, bottom, top) = measured.pictures[meta["arm"]], meta["extent"]
        up, across = picture.shape
        trace.update(z=picture.tolist(), dx=(right - left) / (across - 1), dy=(top - bottom) / (up - 1))
        shares.append([meta["arm"], f"{100 * (picture > 127).mean():.0f} %"])
    arrange(figure, min(len(measured.pictures), 3)).update_layout(height=HEIGHT)
    arms = ", ".join(measured.pictures)
    return Picture(
        chart=figure,
        rows=shares,
        alt=f"Decision boundaries of {arms}, side by side, with the training points.",
    )


def _layout(y: str, log: bool) -> go.Layout:
    layout = go.Layout(template=None, height=HEIGHT, yaxis={"title": {"text": y}} | value_axis(log))
    return layout


def _over_steps(draw: Draw, measured: Measured) -> tuple[list[int], list[Interval]]:
    (quantity,) = draw.quantities()
    return _points(draw, quantity, measured)


def _points(draw: Draw, quantity: Quantity, measured: Measured) -> tuple[list[int], list[Interval]]:
    """A quantity over the steps, or as one level from the first place to the last."""
    if draw.over_steps:
        steps = quantity.steps(measured.values)
        return steps, [scaled(quantity.interval(measured.values, step), draw) for step in steps]
    level = scaled(quantity.interval(measured.values), draw)
    ends = [0, len(draw.places) - 1]
    return ends, [Interval(estimate=level.estimate) for _ in ends]


def _add(
    figure: go.Figure, line: Line, x: Sequence[float], found: Sequence[Interval], *, bars: bool = False
) -> None:
    """A line in its arm's look, over its band or with error bars."""
    style = arm_style(line.arm)
    y = [one.estimate for one in found]
    bounded = bool(found) and all(one.lower is not None for one in found)
    if bounded and not bars:
        outline = [*(one.upper for one in found), *(one.lower for one in reversed(found))]
        figure.add_trace(
            go.Scatter(
                x=[*x, *reversed(x)],
                y=outline,
                fill="toself",
                mode="lines",
                line={"width": 0, "color": style.light},
                fillcolor=translucent(style.light, BAND_ALPHA),
                hoverinfo="skip",
                showlegend=False,
                name=f"{line.label}: 95 % interval",
            )
        )
    error = {}
    if bounded and bars:
        half = [one.upper - one.estimate if one.upper is not None else 0 for one in found]
        below = [one.estimate - one.lower if one.lower is not None else 0 for one in found]
        error = {
            "error_y": {"type": "data", "array": half, "arrayminus": below, "color": style.light, "width": 4}
        }
    figure.add_trace(
        go.Scatter(
            x=list(x),
            y=y,
            name=line.label,
            mode="lines+markers",
            line={"color": style.light, "dash": style.dash, "width": 2.5},
            marker={"symbol": style.marker, "color": style.light, "size": 8, "maxdisplayed": 8},
            hovertemplate=f"{line.label}<br>%{{x}}<br>%{{y:.4g}}<extra></extra>",
            **error,
        )
    )


def _guess(x: Sequence[float], drawn: Sequence[float]) -> go.Scatter:
    return go.Scatter(
        x=list(x),
        y=list(drawn),
        name="your prediction",
        mode="lines+markers",
        line={"color": INK["light"], "dash": "solid", "width": 1.5},
        marker={"symbol": "circle-open", "size": 11, "color": INK["light"], "line": {"width": 2}},
        hovertemplate="your prediction<br>%{y:.4g}<extra></extra>",
    )


def _bounds(one: Interval) -> str:
    if one.lower is None or one.upper is None or not math.isfinite(one.lower + one.upper):
        return "–"
    return f"{one.lower:.4g} to {one.upper:.4g}"
