"""The sharpest direction of the loss over training."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import TALL, curves, over_steps, points
from dropviz.strategies import label


def _figure(subject: Subject) -> go.Figure:
    top = curves(subject, "curvature/top_eigenvalue", error="curvature/top_eigenvalue_residual")
    refreshed = [
        points(arm, "spectrum/top1", "spectrum/top1_residual", name=f"{label(arm)}: by a refresh")
        for arm in subject.arms
    ]
    figure = over_steps([*top, *refreshed], subject, y="largest eigenvalue", log=True)
    figure.layout.height = TALL
    return figure


chart = Chart(
    name="largest-eigenvalue",
    place=210,
    title="Largest eigenvalue",
    subtitle=lambda subject: (
        f"{subject.measured}. Lines: by a few Lanczos steps, a lower bound; {subject.intervals('± residual')}."
        " Open markers: by a refresh, ± residual"
    ),
    figure=_figure,
    metrics=(
        "curvature/top_eigenvalue",
        "curvature/top_eigenvalue_residual",
        "spectrum/top1",
        "spectrum/top1_residual",
    ),
    log=True,
    page="curvature",
)
