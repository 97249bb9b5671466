"""The spectral density of one arm over the whole run, a column a refresh."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.at_step import eigenvalue_axis, eigenvalue_grid, faintest
from dropviz.charts.chart import Chart, Subject


def _figure(subject: Subject) -> go.Figure:
    low = faintest(subject)
    ticks = list(range(low + 1, 1, 2 if low < -5 else 1))
    picture = go.Heatmap(
        name="spectral density",
        autocolorscale=True,
        zmin=low,
        zmax=0.5,
        colorbar={
            "title": {"text": "share<br>a decade", "font": {"size": 12}},
            "thickness": 12,
            "outlinewidth": 0,
            "tickvals": ticks,
            "ticktext": [f"10<sup>{power}</sup>".replace("-", "−") if power else "1" for power in ticks],
        },
        meta={"role": "spectrum", "grid": eigenvalue_grid(subject)},
        hovertemplate="step %{x}<br>eigenvalue %{customdata:.3g}<br>10^%{z:.1f} a decade<extra></extra>",
    )
    return go.Figure(
        [picture],
        layout={
            "template": None,
            "xaxis": {"title": {"text": "step of each refresh"}, "type": "category", "showgrid": False},
            "yaxis": eigenvalue_axis() | {"showgrid": False},
            "height": 360,
        },
    )


chart = Chart(
    name="spectrum-over-time",
    place=230,
    title="Spectrum over training",
    subtitle=lambda subject: (
        f"{subject.measured}. One column a refresh; the colour is the share of the eigenvalues that lie there"
    ),
    figure=_figure,
    metrics=(),
    log=None,
    page="curvature",
    one_arm=True,
    refreshed=True,
)
