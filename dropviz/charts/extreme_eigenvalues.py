"""The sharpest direction of the loss over training, and the one that bends down most."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, line, over_steps, points, two_panels


def _figure(subject: Subject) -> go.Figure:
    top = curves(subject, "curvature/top_eigenvalue", error="curvature/top_eigenvalue_residual")
    refreshed = [
        points(arm, "spectrum/top1", "spectrum/top1_residual", name=f"{arm}: by a refresh")
        for arm in subject.arms
    ]
    lowest = [
        line(arm, "spectrum/lowest", axis="y2", error="spectrum/lowest_residual") for arm in subject.arms
    ]
    figure = over_steps([*top, *refreshed, *lowest], subject, y="largest")
    figure.layout.yaxis.rangemode = "tozero"
    figure = two_panels(figure, "lowest", log=False)
    figure.layout.yaxis2.rangemode = "tozero"
    return figure


chart = Chart(
    name="extreme-eigenvalues",
    place=210,
    title="Largest and lowest eigenvalue",
    subtitle=lambda subject: (
        f"{subject.measured}. Lines above: a few Lanczos steps a moment, {subject.intervals('± residual')}."
        " Open markers, and below: refreshes, ± residual"
    ),
    figure=_figure,
    metrics=(
        "curvature/top_eigenvalue",
        "curvature/top_eigenvalue_residual",
        "spectrum/top1",
        "spectrum/top1_residual",
        "spectrum/lowest",
        "spectrum/lowest_residual",
    ),
    page="curvature",
)
