"""How curved the loss is in all: the traces of its Hessian and of the Gauss-Newton matrix."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, over_steps, two_panels


def _figure(subject: Subject) -> go.Figure:
    hessian = curves(subject, "curvature/hessian_trace", error="curvature/hessian_trace_se")
    gauss_newton = curves(subject, "curvature/ggn_trace", axis="y2", error="curvature/ggn_trace_se")
    figure = over_steps([*hessian, *gauss_newton], subject, y="Hessian", log=True)
    return two_panels(figure, "Gauss-Newton", log=True)


chart = Chart(
    name="hessian-traces",
    place=200,
    title="Trace of the curvature",
    subtitle=lambda subject: (
        f"{subject.measured}. Sum of all eigenvalues: Hessian above, Gauss-Newton matrix below;"
        f" {subject.intervals('± s.e.')}"
    ),
    figure=_figure,
    metrics=(
        "curvature/hessian_trace",
        "curvature/hessian_trace_se",
        "curvature/ggn_trace",
        "curvature/ggn_trace_se",
    ),
    log=True,
    page="curvature",
)
