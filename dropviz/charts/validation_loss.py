"""The loss on the validation split, without dropout."""

from __future__ import annotations

from dropviz.charts.chart import Chart
from dropviz.charts.traces import curves, over_steps

chart = Chart(
    name="validation-loss",
    place=30,
    title="Validation loss",
    subtitle=lambda subject: "Held-out examples, dropout off",
    figure=lambda subject: over_steps(curves(subject, "validation/loss"), subject, y="validation loss"),
    metrics=("validation/loss",),
)
