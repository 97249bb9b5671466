"""The weights of each layer: how large they are, and into how few directions its units have condensed."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.at_step import over_parts, parts
from dropviz.charts.chart import Chart, Subject


def _figure(subject: Subject) -> go.Figure:
    directions = parts(subject, "weights/*/directions")
    sizes = parts(subject, "weights/*/norm", axis="y2")
    return over_parts([*directions, *sizes], x="layer", y="directions", lower="‖W‖")


chart = Chart(
    name="weights",
    place=410,
    title="Weights by layer",
    subtitle=lambda subject: (
        "Above: directions that the units' weights point in (1: all on one line). Below: size of the weights;"
        f" {subject.intervals('none, both are exact', 'error bars')}"
    ),
    figure=_figure,
    metrics=("weights/*/directions", "weights/*/norm"),
    page="curvature",
    fold="Sizes and calibration",
    at_step=True,
)
