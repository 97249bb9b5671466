"""The five largest eigenvalues and the lowest one at one step."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.at_step import profile
from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import value_axis

PLACES = {"largest": "top1", "2nd": "top2", "3rd": "top3", "4th": "top4", "5th": "top5", "lowest": "lowest"}


def _figure(subject: Subject) -> go.Figure:
    metrics: dict[float | str, str] = {place: f"spectrum/{name}" for place, name in PLACES.items()}
    errors = [f"{metric}_residual" for metric in metrics.values()]
    return go.Figure(
        [profile(arm, metrics, errors=errors) for arm in subject.arms],
        layout={
            "template": None,
            "xaxis": {"title": {"text": "eigenvalue"}, "type": "category"},
            "yaxis": {"title": {"text": "value"}, "rangemode": "tozero"} | value_axis(False),
            "height": 380,
        },
    )


chart = Chart(
    name="top-eigenvalues",
    place=250,
    title="Largest eigenvalues at the step",
    subtitle=lambda subject: f"{subject.measured}; {subject.intervals('± residual', 'error bars')}",
    figure=_figure,
    metrics=tuple(f"spectrum/{name}{end}" for name in PLACES.values() for end in ("", "_residual")),
    page="curvature",
    at_step=True,
    refreshed=True,
)
