"""The sizes that the explicit regularizer is made of: activations, and how much the logits depend on them."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.at_step import over_parts, parts
from dropviz.charts.chart import Chart, Subject


def _figure(subject: Subject) -> go.Figure:
    activations = parts(subject, "norms/*/activation")
    jacobians = parts(subject, "norms/*/jacobian", axis="y2", error="norms/*/jacobian_se")
    return over_parts([*activations, *jacobians], x="dropout site", y="‖h‖", lower="tr(JᵀHJ)")


chart = Chart(
    name="norms",
    place=400,
    title="Activations and Jacobians by site",
    subtitle=lambda subject: (
        f"{subject.measured}. Above: size of the activations h. Below: Jacobian of the logits in h, weighed by the loss;"
        f" {subject.intervals('± s.e. where estimated', 'error bars')}"
    ),
    figure=_figure,
    metrics=("norms/*/activation", "norms/*/jacobian", "norms/*/jacobian_se"),
    page="curvature",
    fold="Sizes and calibration",
    at_step=True,
)
