"""The few kinds of traces that show one step, which the page's scrubber chooses; ``meta`` says what the board puts into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any

import plotly.graph_objects as go

from dropviz.analysis import density
from dropviz.charts.chart import Subject
from dropviz.charts.style import arm_style, translucent
from dropviz.charts.traces import two_panels, value_axis
from dropviz.strategies import label


def parts(subject: Subject, metric: str, *, axis: str = "y", error: str | None = None) -> list[go.Bar]:
    """A bar an arm for each layer or site that the ``*`` of the metric stands for; role ``parts``.

    Error bars are the interval over seeds; of a few seeds, ± the metric ``error``.
    """
    return [_part(arm, metric, axis, error) for arm in subject.arms]


def _part(arm: str, metric: str, axis: str, error: str | None) -> go.Bar:
    style = arm_style(arm)
    return go.Bar(
        name=label(arm),
        marker={
            "color": translucent(style.light, 0.55),
            "line": {"color": style.light, "width": 1.5},
            "pattern": {"shape": style.pattern, "fillmode": "overlay", "fgcolor": style.light, "size": 6},
        },
        error_y={"type": "data", "color": style.light, "thickness": 1.5, "width": 3, "symmetric": False},
        legendgroup=arm,
        offsetgroup=arm,
        yaxis=axis,
        meta={"arm": arm, "role": "parts", "metric": metric} | ({"error": error} if error else {}),
        hovertemplate=f"{label(arm)}<br>%{{x}}<br>%{{y:.4g}}<extra></extra>",
    )


def over_parts(traces: Sequence[go.Bar], *, x: str, y: str, lower: str | None = None) -> go.Figure:
    """A figure of bars side by side, in one panel or, with a title for it, a second one below."""
    figure = go.Figure(
        list(traces),
        layout={
            "template": None,
            "barmode": "group",
            "bargap": 0.25,
            "xaxis": {"title": {"text": x}, "type": "category"},
            "yaxis": {"title": {"text": y}, "rangemode": "tozero"} | value_axis(False),
        },
    )
    if lower is None:
        return figure
    return two_panels(figure, lower, log=False).update_layout(yaxis2={"rangemode": "tozero"})


def profile(
    arm: str,
    metrics: Mapping[float | str, str],
    *,
    errors: Sequence[str] = (),
    own_error: bool = False,
    name: str | None = None,
    **look: Any,
) -> go.Scatter:
    """Several metrics side by side, each at the place that it is given; role ``profile``.

    Error bars are the interval over seeds; of a few seeds, or where ``own_error`` asks for it, ± the metrics ``errors``.
    """
    style = arm_style(arm)
    meta: dict[str, Any] = {"arm": arm, "role": "profile", "metrics": list(metrics.values())}
    bars = {}
    if errors:
        meta |= {"errors": list(errors), "own_error": own_error}
        bars = {"error_y": {"type": "data", "color": style.light, "thickness": 1.5, "width": 4}}
    return go.Scatter(
        name=name or label(arm),
        mode="lines" if look else "lines+markers",
        line={"color": style.light, "dash": style.dash, "width": 2} | look,
        marker={"symbol": style.marker, "color": style.light, "size": 9},
        legendgroup=arm,
        meta=meta | {"places": list(metrics)},
        hovertemplate=f"{name or label(arm)}<br>%{{x}}: %{{y:.4g}}<extra></extra>",
        **bars,
    )


def eigenvalue_axis() -> dict[str, Any]:
    """An axis of eigenvalues, linear around 0 and logarithmic far from it."""
    places, labels = density.ticks()
    return {"title": {"text": "eigenvalue"}, "tickvals": places, "ticktext": labels}


def eigenvalue_grid(subject: Subject) -> dict[str, float]:
    """What the board needs to know of the grid of densities, and below which share nothing is drawn."""
    return {
        "lowest": density.LOWEST,
        "spacing": density.SPACING,
        "scale": density.SCALE,
        "floor": 10.0 ** faintest(subject),
    }


def faintest(subject: Subject) -> int:
    """The power of ten that a density is drawn from: a tenth of what one eigenvalue adds, spread over a decade."""
    return floor(log10(0.1 / subject.parameters))
