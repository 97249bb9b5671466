"""Whether mask noise points along the curvature: tr(HΣ) beside its value for noise of no particular direction."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import line, over_steps, two_panels
from dropviz.strategies import label


def _figure(subject: Subject) -> go.Figure:
    arms = subject.arms
    value = [line(arm, "alignment/value", error="alignment/value_se") for arm in arms]
    null = [
        line(
            arm,
            "alignment/null",
            error="alignment/null_se",
            name=f"{label(arm)}: no particular direction",
            width=1.5,
            dash="1px,3px",
        )
        for arm in arms
    ]
    ratio = [line(arm, "alignment/ratio", axis="y2", error="alignment/ratio_se") for arm in arms]
    figure = over_steps([*value, *null, *ratio], subject, y="tr(HΣ)", log=True)
    return two_panels(figure, "ratio", log=True)


chart = Chart(
    name="alignment",
    place=320,
    title="Mask noise along the curvature",
    subtitle=lambda subject: (
        f"{subject.measured}. Above: tr(HΣ), and thin dotted tr\u00a0H\u00a0·\u00a0tr\u00a0Σ\u00a0/\u00a0P, noise of no particular direction."
        " Below: their ratio. All ± s.e."
    ),
    figure=_figure,
    metrics=(
        "alignment/value",
        "alignment/value_se",
        "alignment/null",
        "alignment/null_se",
        "alignment/ratio",
        "alignment/ratio_se",
    ),
    log=True,
    wide=True,
    page="curvature",
    fold="Gradient noise",
    refreshed=True,
)
