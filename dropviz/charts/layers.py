"""Where the curvature sits: the traces of each layer's own block."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.at_step import over_parts, parts
from dropviz.charts.chart import Chart, Subject


def _figure(subject: Subject) -> go.Figure:
    hessian = parts(subject, "layers/*/hessian_trace", error="layers/*/hessian_trace_se")
    gauss_newton = parts(subject, "layers/*/ggn_trace", axis="y2", error="layers/*/ggn_trace_se")
    return over_parts([*hessian, *gauss_newton], x="layer", y="Hessian", lower="Gauss-Newton")


chart = Chart(
    name="layers",
    place=260,
    title="Curvature by layer",
    subtitle=lambda subject: (
        f"{subject.measured}. Trace of each layer's block: Hessian above, Gauss-Newton matrix below;"
        f" {subject.intervals('± s.e.', 'error bars')}"
    ),
    figure=_figure,
    metrics=(
        "layers/*/hessian_trace",
        "layers/*/hessian_trace_se",
        "layers/*/ggn_trace",
        "layers/*/ggn_trace_se",
    ),
    page="curvature",
    at_step=True,
)
