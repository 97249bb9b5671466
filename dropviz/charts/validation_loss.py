"""The loss on the validation split, without dropout."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.analysis.score import score_of
from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, over_steps, reference


def _figure(subject: Subject) -> go.Figure:
    known = [
        reference("optimum/loss", "known optimum", subject, "top right"),
        reference("unigram/loss", "unigram baseline", subject, "top left"),
    ]
    return over_steps([*curves(subject, "validation/loss"), *known], subject, y="validation loss")


def _subtitle(subject: Subject) -> str:
    score = score_of(subject.task, "loss")
    return f"{subject.held_out}; {score.meaning or score.unit}, lower is better"


chart = Chart(
    name="validation-loss",
    place=30,
    title="Validation loss",
    subtitle=_subtitle,
    figure=_figure,
    metrics=("optimum/loss", "unigram/loss", "validation/loss"),
)
