"""Its chart, in the Lab."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts import Chart, Subject
from dropviz.charts.traces import curves, over_steps


def _figure(subject: Subject) -> go.Figure:
    return over_steps(curves(subject, "margin/mean"), subject, y="margin")


chart = Chart(
    name="margin",
    place=1000,
    title="Margin of the best logit",
    subtitle=lambda subject: f"{subject.measured}: the largest logit less the next",
    figure=_figure,
    metrics=("margin/mean",),
    shown=lambda subject: subject.task.outputs > 1,
)
