"""The loss that training minimizes, with the explicit penalty in it as a line of its own."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, line, over_steps
from dropviz.strategies import label, strategy


def _figure(subject: Subject) -> go.Figure:
    penalties = [
        line(arm, "train/penalty", name=f"{label(arm)}: penalty", width=1.5, dash="1px,3px")
        for arm in subject.arms
        if strategy(arm).penalized
    ]
    return over_steps([*curves(subject, "train/objective"), *penalties], subject, y="training loss")


def _subtitle(subject: Subject) -> str:
    penalty = any(strategy(arm).penalized for arm in subject.arms)
    return "What each arm minimizes" + ("; its penalty as a thin dotted line" if penalty else "")


chart = Chart(
    name="loss",
    place=20,
    title="Optimized loss",
    subtitle=_subtitle,
    figure=_figure,
    metrics=("train/objective", "train/penalty"),
)
