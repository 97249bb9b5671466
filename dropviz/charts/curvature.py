"""The loss's curvature in the weights: the Hessian's trace and its top eigenvalue."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.analysis import FEWEST_SEEDS
from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import TALL, curves, over_steps, value_axis


def _figure(subject: Subject) -> go.Figure:
    trace = curves(subject, "curvature/hessian_trace", error="curvature/hessian_trace_se")
    top = curves(subject, "curvature/top_eigenvalue", axis="y2", error="curvature/top_eigenvalue_residual")
    for curve in top:
        curve.showlegend = False
    figure = over_steps([*trace, *top], subject, y="Hessian trace", log=True)
    figure.update_layout(
        yaxis={"domain": [0.55, 1], "nticks": 4},
        yaxis2={"domain": [0, 0.45], "anchor": "x", "title": {"text": "top eigenvalue"}}
        | value_axis(True)
        | {"nticks": 4},
        xaxis={"anchor": "y2"},
        height=TALL,
    )
    return figure


def _subtitle(subject: Subject) -> str:
    few = "; bands are ± s.e. and residual" if subject.seeds < FEWEST_SEEDS else ""
    return f"Of the loss without dropout: Hessian trace above, top eigenvalue below{few}"


chart = Chart(
    name="curvature",
    place=70,
    title="Curvature",
    subtitle=_subtitle,
    figure=_figure,
    metrics=(
        "curvature/hessian_trace",
        "curvature/hessian_trace_se",
        "curvature/top_eigenvalue",
        "curvature/top_eigenvalue_residual",
    ),
    log=True,
)
