"""What makes the gradient of a step noisy: its masks, and its choice of examples."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.traces import curves, over_steps, two_panels


def _figure(subject: Subject) -> go.Figure:
    masks = curves(subject, "noise/mask", error="noise/mask_se")
    minibatches = curves(subject, "noise/minibatch", axis="y2", error="noise/minibatch_se")
    figure = over_steps([*masks, *minibatches], subject, y="masks", log=True)
    return two_panels(figure, "minibatch", log=True)


chart = Chart(
    name="noise-parts",
    place=300,
    title="Noise of a step's gradient, tr Cov",
    subtitle=lambda subject: (
        "From fixed minibatches of the training split. Above: by masks (of arms without masks, what one mask would add)."
        f" Below: by the choice of examples; {subject.intervals('± s.e.')}"
    ),
    figure=_figure,
    metrics=("noise/mask", "noise/mask_se", "noise/minibatch", "noise/minibatch_se"),
    log=True,
    page="curvature",
    fold="Gradient noise",
)
