"""Decision boundaries of a planar data set, one small picture an arm."""

from __future__ import annotations

import plotly.graph_objects as go

from dropviz.charts.chart import Chart, Subject
from dropviz.strategies import label

COLUMNS = 3
CLASSES = (("#f0b429", "circle"), ("#2f8fd0", "square"))
# Orange to blue over white: the two classes of Okabe and Ito's palette.
SCALE = [[0.0, "#e69f00"], [0.25, "#f4d38a"], [0.5, "#ffffff"], [0.75, "#8cc1e4"], [1.0, "#0072b2"]]


def _figure(subject: Subject) -> go.Figure:
    left, right, bottom, top = subject.extent or (-1.0, 1.0, -1.0, 1.0)
    figure = go.Figure(layout={"template": None, "annotations": [], "meta": {"columns": COLUMNS}})
    for index, arm in enumerate(subject.arms):
        suffix = str(index + 1) if index else ""
        x, y = f"x{suffix}", f"y{suffix}"
        figure.add_trace(
            go.Heatmap(
                name=label(arm),
                xaxis=x,
                yaxis=y,
                zmin=0,
                zmax=255,
                zsmooth="best",
                colorscale=SCALE,
                showscale=False,
                x0=left,
                y0=bottom,
                meta={"arm": arm, "role": "surface", "extent": [left, right, bottom, top]},
                hovertemplate=f"{label(arm)}<br>x₁ %{{x:.2f}}, x₂ %{{y:.2f}}<extra></extra>",
            )
        )
        figure.update_layout(
            {
                f"xaxis{suffix}": {"title": {"text": "x₁"}, "range": [left, right], "anchor": y, "nticks": 5},
                f"yaxis{suffix}": {"title": {"text": "x₂"}, "range": [bottom, top], "anchor": x, "nticks": 5},
            }
        )
        for of, (color, symbol) in enumerate(CLASSES):
            figure.add_trace(_training_points(subject, of, color, symbol, x, y))
        place = {"xref": f"{x} domain", "yref": f"{y} domain", "x": 0, "y": 1, "yanchor": "bottom"}
        figure.add_annotation(text=label(arm), xanchor="left", showarrow=False, **place)
    return arrange(figure, COLUMNS)


def _training_points(subject: Subject, label: int, color: str, symbol: str, x: str, y: str) -> go.Scatter:
    found = [(x1, x2) for x1, x2, of in subject.examples if of == label]
    return go.Scatter(
        name=f"class {label}",
        mode="markers",
        x=[x1 for x1, _ in found],
        y=[x2 for _, x2 in found],
        xaxis=x,
        yaxis=y,
        marker={"color": color, "symbol": symbol, "size": 6, "line": {"color": "#1c232d", "width": 1}},
        line={"dash": "solid"},
        showlegend=False,
        meta={"role": "examples"},
        hovertemplate=f"a training point of class {label}<extra></extra>",
    )


def arrange(figure: go.Figure, columns: int) -> go.Figure:
    """Put the small pictures into so many columns; the board does the same when the page is narrow."""
    count = sum(trace.type == "heatmap" for trace in figure.data)
    rows = -(-count // columns)
    wide, high = 1 / columns, 1 / rows
    for index in range(count):
        row, column = divmod(index, columns)
        suffix = str(index + 1) if index else ""
        across, up = 0.16 * wide, 0.26 * high
        figure.layout[f"xaxis{suffix}"].domain = [
            column * wide + across / 2,
            (column + 1) * wide - across / 2,
        ]
        figure.layout[f"yaxis{suffix}"].domain = [1 - (row + 1) * high + up * 0.7, 1 - row * high - up * 0.3]
    figure.layout.height = 270 * rows
    return figure


chart = Chart(
    name="boundary",
    place=10,
    title="Decision boundaries",
    subtitle=lambda subject: (
        "Probability of class 1 for the first seed: orange 0, white ½, blue 1. Its training points: ○ class 0, □ class 1"
    ),
    figure=_figure,
    metrics=(),
    log=None,
    wide=True,
    shown=lambda subject: subject.extent is not None,
)
