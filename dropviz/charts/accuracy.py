"""Accuracy on the validation split, without dropout."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, over_steps, reference


def _figure(subject: Subject) -> go.Figure:
    optimum = reference("optimum/accuracy", "known optimum", subject, "bottom right")
    traces = [*curves(subject, "validation/accuracy"), optimum]
    figure = over_steps(traces, subject, y="validation accuracy")
    figure.layout.yaxis.tickformat = ".0%"
    return figure


chart = Chart(
    name="accuracy",
    place=40,
    title="Validation accuracy",
    subtitle=lambda subject: subject.held_out,
    figure=_figure,
    metrics=("optimum/accuracy", "validation/accuracy"),
    shown=lambda subject: subject.task.kind == "classification",
)
