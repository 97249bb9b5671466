"""The implicit effect's size: the trace of the covariance of one step's gradient noise."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import TALL, curves, line, over_steps
from dropviz.strategies import label


def _figure(subject: Subject) -> go.Figure:
    analytic = [
        line(arm, "noise/analytic", name=f"{label(arm)}: analytic noise", width=1.5, dash="1px,3px")
        for arm in subject.arms
    ]
    figure = over_steps([*curves(subject, "noise/mask"), *analytic], subject, y="tr Cov", log=True)
    figure.layout.height = TALL
    return figure


chart = Chart(
    name="noise",
    place=60,
    title="Implicit noise, tr Cov",
    subtitle=lambda subject: (
        "Lines: mask noise in a step (of arms without masks: what one would add). Thin dotted: analytic"
    ),
    figure=_figure,
    metrics=("noise/mask", "noise/analytic"),
    log=True,
)
