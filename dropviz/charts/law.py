"""The 1/k law at one step: the squared gradient over k masks, against what its parts predict."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.at_step import profile
from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import TALL, value_axis
from dropviz.strategies import label

MASKS = (1, 2, 4, 8)


def _figure(subject: Subject) -> go.Figure:
    measured: dict[float | str, str] = {k: f"law/k{k}" for k in MASKS}
    predicted: dict[float | str, str] = {k: f"law/predicted{k}" for k in MASKS}
    errors = [f"{metric}_se" for metric in measured.values()]
    curves = [
        profile(arm, predicted, name=f"{label(arm)}: predicted", width=1.5, dash="1px,3px", shape="spline")
        for arm in subject.arms
    ]
    marks = [profile(arm, measured, errors=errors, own_error=True) for arm in subject.arms]
    for mark in marks:
        mark.mode = "markers"
    return go.Figure(
        [*curves, *marks],
        layout={
            "template": None,
            "xaxis": {
                "title": {"text": "masks k that a gradient is a mean over"},
                "type": "log",
                "tickvals": list(MASKS),
                "range": [-0.08, 0.98],
            },
            "yaxis": {"title": {"text": "E‖gₖ‖²"}} | value_axis(True),
            "height": TALL,
        },
    )


chart = Chart(
    name="law",
    place=310,
    title="The 1/k law of mask noise",
    subtitle=lambda subject: (
        "On fixed minibatches. Markers: measured, ± s.e. Thin dotted: ‖∇ℓ_drop‖² + minibatch part + mask part / k,"
        " from other masks"
    ),
    figure=_figure,
    metrics=(
        *(f"law/k{k}{end}" for k in MASKS for end in ("", "_se")),
        *(f"law/predicted{k}" for k in MASKS),
    ),
    log=True,
    page="curvature",
    fold="Gradient noise",
    at_step=True,
    refreshed=True,
)
