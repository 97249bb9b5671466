"""Accuracy on the validation split, without dropout."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, over_steps


def _figure(subject: Subject) -> go.Figure:
    figure = over_steps(curves(subject, "validation/accuracy"), subject, y="validation accuracy")
    figure.layout.yaxis.tickformat = ".0%"
    return figure


chart = Chart(
    name="accuracy",
    place=40,
    title="Validation accuracy",
    subtitle=lambda subject: "Held-out examples, dropout off",
    figure=_figure,
    metrics=("validation/accuracy",),
)
