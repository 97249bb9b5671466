"""The few kinds of traces that charts are made of; ``meta`` says what the board puts into them."""

from __future__ import annotations

from typing import Any, Literal

import plotly.graph_objects as go

from dropviz.charts.chart import Subject
from dropviz.charts.style import QUIET, arm_style, translucent
from dropviz.strategies import label

BAND_ALPHA = 0.16
Place = Literal[
    "top left", "bottom left", "top right", "bottom right"
]  # right: at the left end, to the right of it
TALL = 380  # pixels: for a chart of two panels, and for the one beside it


def line(
    arm: str, metric: str, *, axis: str = "y", name: str | None = None, error: str | None = None, **look: Any
) -> go.Scatter:
    """The mean over seeds; role ``line``. ``look`` overrides width, dash and so on; ``error`` is of error bars of ± it."""
    style = arm_style(arm)
    bars = {"error_y": {"type": "data", "color": style.light, "thickness": 1.5, "width": 4}} if error else {}
    return go.Scatter(
        name=name or label(arm),
        mode="lines+markers",
        line={"color": style.light, "dash": style.dash, "width": 2.5} | look,
        marker={"symbol": style.marker, "color": style.light, "size": 8, "maxdisplayed": 8},
        legendgroup=arm,
        yaxis=axis,
        meta={"arm": arm, "metric": metric, "role": "line"} | ({"error": error} if error else {}),
        hovertemplate=f"{name or label(arm)}<br>step %{{x:,}}<br>%{{y:.4g}}<extra></extra>",
        **bars,
    )


def band(arm: str, metric: str, subject: Subject, *, axis: str = "y", error: str | None = None) -> go.Scatter:
    """The interval around a line; role ``band``. With one seed the metric ``error`` is its half-width instead."""
    style = arm_style(arm)
    return go.Scatter(
        name=f"{label(arm)}: {subject.band}",
        mode="lines",
        fill="toself",
        fillcolor=translucent(style.light, BAND_ALPHA),
        line={"width": 0, "dash": style.dash, "color": style.light},
        marker={"symbol": style.marker, "color": style.light},
        legendgroup=arm,
        showlegend=False,
        hoverinfo="skip",
        yaxis=axis,
        meta={"arm": arm, "metric": metric, "role": "band"} | ({"error": error} if error else {}),
    )


def points(arm: str, metric: str, error: str, *, name: str) -> go.Scatter:
    """Markers with error bars of ± the metric ``error``; role ``points``."""
    style = arm_style(arm)
    return go.Scatter(
        name=name,
        mode="markers",
        line={"dash": style.dash, "color": style.light},
        marker={"symbol": f"{style.marker}-open", "color": style.light, "size": 10, "line": {"width": 2}},
        error_y={"type": "data", "color": style.light, "thickness": 1.5, "width": 4},
        legendgroup=arm,
        showlegend=False,
        meta={"arm": arm, "metric": metric, "role": "points", "error": error},
        hovertemplate=f"{name}<br>step %{{x:,}}<br>%{{y:.4g}}<extra></extra>",
    )


def curves(subject: Subject, metric: str, *, axis: str = "y", error: str | None = None) -> list[go.Scatter]:
    """A band and a line for each arm: the bands lie under all lines."""
    bands = [band(arm, metric, subject, axis=axis, error=error) for arm in subject.arms]
    return bands + [line(arm, metric, axis=axis) for arm in subject.arms]


def reference(metric: str, label: str, subject: Subject, place: Place) -> go.Scatter:
    """A known number to compare with, as a thin line from end to end with its label on it; role ``reference``.

    It is the same for all arms, so it is of none of them: the board takes the first arm that has it. Where nobody knows
    the number, nothing is drawn. It comes after the curves, so that they do not hide its label.
    """
    at_end = place.endswith("left")
    return go.Scatter(
        name=label,
        mode="lines+text",
        line={"color": QUIET["light"], "dash": "solid", "width": 1.5},
        marker={"symbol": "line-ew", "color": QUIET["light"]},
        text=["", label] if at_end else [label, ""],
        textposition=place,
        textfont={"size": 13, "color": QUIET["light"]},
        cliponaxis=False,
        showlegend=False,
        meta={"metric": metric, "role": "reference", "span": [0, subject.steps]},
        hovertemplate=f"{label}<br>%{{y:.4g}}<extra></extra>",
    )


def two_panels(figure: go.Figure, lower: str, *, log: bool) -> go.Figure:
    """Room for a second panel below the first, with the same steps and a value axis of this title, ``y2``."""
    figure.update_layout(
        yaxis={"domain": [0.55, 1], "nticks": 4},
        yaxis2={"domain": [0, 0.45], "anchor": "x", "title": {"text": lower}}
        | value_axis(log)
        | {"nticks": 4},
        xaxis={"anchor": "y2"},
        height=TALL,
    )
    return figure


def over_steps(traces: list[go.Scatter], subject: Subject, *, y: str, log: bool = False) -> go.Figure:
    """A figure of traces over the steps of training, whose x axis spans the whole run from the start.

    Where an arm goes on as another one there is a thin labelled line.
    """
    return go.Figure(
        traces,
        layout={
            "template": None,
            "xaxis": {"title": {"text": "step"}, "range": [0, subject.steps], "tickformat": ",d"},
            "yaxis": {"title": {"text": y}} | value_axis(log),
            "shapes": [_switch(step, subject) for step in subject.switches],
        },
    )


def _switch(step: int, subject: Subject) -> dict[str, Any]:
    """A line from top to bottom, its label on the side that has room."""
    side = "left" if step < subject.steps / 2 else "right"
    label = {"text": f"switch at {step:,}", "textposition": "end", "textangle": 0, "xanchor": side}
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": step,
        "x1": step,
        "y0": 0,
        "y1": 1,
        "line": {"color": QUIET["light"], "width": 1, "dash": "4px,3px"},
        "label": label | {"yanchor": "top", "padding": 4, "font": {"size": 12, "color": QUIET["light"]}},
    }


def value_axis(log: bool) -> dict[str, Any]:
    """Settings of a value axis. On a log scale: powers of ten, and in between only where there is room."""
    return (
        {"type": "log", "minor": {"ticks": "outside", "ticklen": 3}, "nticks": 6}
        if log
        else {"type": "linear"}
    )
