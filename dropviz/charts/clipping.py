"""How often gradient clipping acted: where it did, updates and their noise were smaller than without it."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, over_steps


def _figure(subject: Subject) -> go.Figure:
    figure = over_steps(curves(subject, "train/clipped"), subject, y="share of steps")
    figure.layout.yaxis.rangemode = "nonnegative"  # it may be 0 from end to end
    return figure


chart = Chart(
    name="clipping",
    place=80,
    title="Clipped steps",
    subtitle=lambda subject: "Share of the steps since the last point whose gradient was scaled down",
    figure=_figure,
    metrics=("train/clipped",),
    shown=lambda subject: subject.clips,
)
