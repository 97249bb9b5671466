"""The spectral density at one step: how the eigenvalues of the Hessian lie, all arms over one another."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.at_step import eigenvalue_axis, eigenvalue_grid
from dropviz.charts.chart import Chart, Subject
from dropviz.charts.style import arm_style
from dropviz.charts.traces import value_axis
from dropviz.statistics import LANCZOS_STEPS
from dropviz.strategies import label


def _curve(arm: str, subject: Subject) -> go.Scatter:
    style = arm_style(arm)
    return go.Scatter(
        name=label(arm),
        mode="lines",
        line={"color": style.light, "dash": style.dash, "width": 2.5},
        marker={"symbol": style.marker, "color": style.light},
        legendgroup=arm,
        meta={"arm": arm, "role": "density", "grid": eigenvalue_grid(subject)},
        hovertemplate=f"{label(arm)}<br>eigenvalue %{{customdata:.3g}}<br>%{{y:.2g}} a decade<extra></extra>",
    )


def _figure(subject: Subject) -> go.Figure:
    return go.Figure(
        [_curve(arm, subject) for arm in subject.arms],
        layout={
            "template": None,
            "xaxis": eigenvalue_axis(),
            "yaxis": {"title": {"text": "share a decade"}, "exponentformat": "power"} | value_axis(True),
            "height": 360,
        },
    )


chart = Chart(
    name="density",
    place=220,
    title="Spectrum of the Hessian",
    subtitle=lambda subject: (
        f"{subject.measured}. Share of the {subject.parameters:,} eigenvalues a decade, from {sum(LANCZOS_STEPS)} Lanczos steps of two starts, smoothed;"
        f" {'1 seed' if subject.seeds == 1 else f'mean over {subject.seeds} seeds'}"
    ),
    figure=_figure,
    metrics=(),
    log=True,
    page="curvature",
    at_step=True,
    refreshed=True,
)
