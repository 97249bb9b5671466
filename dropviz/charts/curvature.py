"""The loss's curvature in the weights: the Hessian's trace and its top eigenvalue."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.analysis import FEWEST_SEEDS
from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, over_steps, two_panels


def _figure(subject: Subject) -> go.Figure:
    trace = curves(subject, "curvature/hessian_trace", error="curvature/hessian_trace_se")
    top = curves(subject, "curvature/top_eigenvalue", axis="y2", error="curvature/top_eigenvalue_residual")
    for curve in top:
        curve.showlegend = False
    figure = over_steps([*trace, *top], subject, y="Hessian trace", log=True)
    return two_panels(figure, "top eigenvalue", log=True)


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
