"""How far a classifier's confidence is from how often it is right."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, over_steps, two_panels


def _figure(subject: Subject) -> go.Figure:
    error = curves(subject, "calibration/error")
    confidence = curves(subject, "calibration/confidence", axis="y2")
    figure = two_panels(over_steps([*error, *confidence], subject, y="error"), "confidence", log=False)
    figure.update_layout(yaxis={"tickformat": ".0%"}, yaxis2={"tickformat": ".0%"})
    return figure


chart = Chart(
    name="calibration",
    place=420,
    title="Calibration",
    subtitle=lambda subject: (
        f"{subject.held_out}. Above: expected calibration error, 15 bins. Below: mean confidence"
    ),
    figure=_figure,
    metrics=("calibration/error", "calibration/confidence"),
    page="curvature",
    fold="Sizes and calibration",
    shown=lambda subject: subject.task.kind == "classification",
)
