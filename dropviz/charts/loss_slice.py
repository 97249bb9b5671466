"""The loss around the weights, on the plane of the two sharpest directions."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject


def _figure(subject: Subject) -> go.Figure:
    picture = go.Contour(
        name="loss",
        autocolorscale=True,
        ncontours=14,
        contours={"coloring": "heatmap", "showlabels": False},
        line={"width": 0.8},
        colorbar={"title": {"text": "loss", "font": {"size": 12}}, "thickness": 12, "outlinewidth": 0},
        meta={"role": "slice"},
        hovertemplate="%{x:.3g} along the sharpest<br>%{y:.3g} along the second<br>loss %{z:.4g}<extra></extra>",
    )
    center = go.Scatter(
        name="the weights",
        mode="markers",
        marker={
            "symbol": "cross-thin",
            "size": 15,
            "color": "#d55e00",
            "line": {"color": "#d55e00", "width": 3},
        },
        line={"dash": "solid"},
        showlegend=False,
        meta={"role": "center"},
        hovertemplate="the weights<extra></extra>",
    )
    return go.Figure(
        [picture, center],
        layout={
            "template": None,
            "xaxis": {"title": {"text": "distance along the sharpest direction"}, "showgrid": False},
            "yaxis": {"title": {"text": "distance along the second"}, "showgrid": False},
            "height": 380,
        },
    )


def _subtitle(subject: Subject) -> str:
    return (
        f"{subject.measured}. Mind: one plane of {subject.parameters:,} dimensions, of one seed, its axes scaled by their"
        " eigenvalues; other planes look different. +: the weights"
    )


chart = Chart(
    name="loss-slice",
    place=240,
    title="Loss around the weights",
    subtitle=_subtitle,
    figure=_figure,
    metrics=(),
    log=None,
    page="curvature",
    at_step=True,
    one_arm=True,
    refreshed=True,
)
