"""How often gradient clipping acted: where it did, updates and their noise were smaller than without it."""

from __future__ import annotations

from dropviz.charts.chart import Chart
from dropviz.charts.traces import curves, over_steps

chart = Chart(
    name="clipping",
    place=80,
    title="Clipped steps",
    subtitle=lambda subject: "Share of the steps since the last point whose gradient was scaled down",
    figure=lambda subject: over_steps(curves(subject, "train/clipped"), subject, y="share of steps"),
    metrics=("train/clipped",),
    shown=lambda subject: subject.clips,
)
