"""The few kinds of traces that charts are made of; ``meta`` says what the board puts into them."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from dropviz.charts.chart import Subject
from dropviz.charts.style import arm_style, translucent

BAND_ALPHA = 0.16
TALL = 380  # pixels: for a chart of two panels, and for the one beside it


def line(arm: str, metric: str, *, axis: str = "y", name: str | None = None, **look: Any) -> go.Scatter:
    """The mean over seeds; role ``line``. ``look`` overrides width, dash and so on."""
    style = arm_style(arm)
    return go.Scatter(
        name=name or arm,
        mode="lines+markers",
        line={"color": style.light, "dash": style.dash, "width": 2.5} | look,
        marker={"symbol": style.marker, "color": style.light, "size": 8, "maxdisplayed": 8},
        legendgroup=arm,
        yaxis=axis,
        meta={"arm": arm, "metric": metric, "role": "line"},
        hovertemplate=f"{name or arm}<br>step %{{x:,}}<br>%{{y:.4g}}<extra></extra>",
    )


def band(arm: str, metric: str, subject: Subject, *, axis: str = "y", error: str | None = None) -> go.Scatter:
    """The interval around a line; role ``band``. With one seed the metric ``error`` is its half-width instead."""
    style = arm_style(arm)
    return go.Scatter(
        name=f"{arm}: {subject.band}",
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


def over_steps(traces: list[go.Scatter], subject: Subject, *, y: str, log: bool = False) -> go.Figure:
    """A figure of traces over the steps of training, whose x axis spans the whole run from the start."""
    return go.Figure(
        traces,
        layout={
            "template": None,
            "xaxis": {"title": {"text": "step"}, "range": [0, subject.steps], "tickformat": ",d"},
            "yaxis": {"title": {"text": y}} | value_axis(log),
        },
    )


def value_axis(log: bool) -> dict[str, Any]:
    """Settings of a value axis. On a log scale: powers of ten, and in between only where there is room."""
    return (
        {"type": "log", "minor": {"ticks": "outside", "ticklen": 3}, "nticks": 6}
        if log
        else {"type": "linear"}
    )
