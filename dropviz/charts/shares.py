"""What each dropout site adds to the explicit regularizer."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.at_step import over_parts, parts
from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import TALL


def _figure(subject: Subject) -> go.Figure:
    figure = over_parts(
        parts(subject, "sites/*/share", error="sites/*/share_se"), x="dropout site", y="part of R"
    )
    figure.layout.height = TALL
    return figure


chart = Chart(
    name="shares",
    place=270,
    title="Explicit regularizer by site",
    subtitle=lambda subject: (
        f"{subject.measured}. What each dropout site adds to the analytic R;"
        f" {subject.intervals('± s.e.', 'error bars')}"
    ),
    figure=_figure,
    metrics=("sites/*/share", "sites/*/share_se"),
    page="curvature",
    at_step=True,
)
