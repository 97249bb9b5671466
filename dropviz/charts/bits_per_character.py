"""Bits a character on the validation text: the loss of a text of characters in the unit that is usual for it."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, over_steps, reference


def _figure(subject: Subject) -> go.Figure:
    known = [
        reference("optimum/bits_per_character", "known optimum", subject, "top right"),
        reference("unigram/bits_per_character", "unigram baseline", subject, "top left"),
    ]
    traces = [*curves(subject, "validation/bits_per_character"), *known]
    return over_steps(traces, subject, y="bits a character")


chart = Chart(
    name="bits-per-character",
    place=42,
    title="Bits a character",
    subtitle=lambda subject: f"{subject.held_out}; lower is better. Text: {subject.tokens}",
    figure=_figure,
    metrics=("optimum/bits_per_character", "unigram/bits_per_character", "validation/bits_per_character"),
    shown=lambda subject: subject.task.kind == "language" and subject.task.token == "character",
)
