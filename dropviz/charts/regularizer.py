"""The explicit regularizer R: by its definition (Monte Carlo over masks) against the analytic R_approx."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import band, line, over_steps, points
from dropviz.strategies import label


def _figure(subject: Subject) -> go.Figure:
    bands = [band(arm, "term/explicit", subject) for arm in subject.arms]
    analytic = [line(arm, "term/explicit", error="term/explicit_se") for arm in subject.arms]
    sampled = [
        points(
            arm,
            "regularizer/monte_carlo",
            "regularizer/monte_carlo_se",
            name=f"{label(arm)}: R by {subject.masks} masks",
        )
        for arm in subject.arms
    ]
    return over_steps([*bands, *analytic, *sampled], subject, y="R", log=True)


chart = Chart(
    name="regularizer",
    place=50,
    title="Explicit regularizer R",
    subtitle=lambda subject: (
        f"Lines: analytic, ± s.e. where it is estimated. Open markers: by definition, {subject.masks} masks ± s.e."
    ),
    figure=_figure,
    metrics=(
        "term/explicit",
        "term/explicit_se",
        "regularizer/monte_carlo",
        "regularizer/monte_carlo_se",
    ),
    log=True,
)
