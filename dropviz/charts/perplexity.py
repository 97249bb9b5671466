"""Perplexity on the validation text: among how many equally likely tokens the network is as good as choosing."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, over_steps, reference


def _figure(subject: Subject) -> go.Figure:
    known = [
        reference("optimum/perplexity", "known optimum", subject, "top right"),
        reference("unigram/perplexity", "unigram baseline", subject, "top left"),
    ]
    traces = [*curves(subject, "validation/perplexity"), *known]
    figure = over_steps(traces, subject, y="validation perplexity", log=True)
    figure.update_layout(
        yaxis={"nticks": 3, "tickformat": ",.4~g"}
    )  # 10, 20, 50: a decade or two, written out
    return figure


chart = Chart(
    name="perplexity",
    place=41,
    title="Validation perplexity",
    subtitle=lambda subject: f"{subject.held_out}; lower is better. Text: {subject.tokens}",
    figure=_figure,
    metrics=("optimum/perplexity", "unigram/perplexity", "validation/perplexity"),
    log=True,
    shown=lambda subject: subject.task.kind == "language" and subject.task.token != "character",
)
