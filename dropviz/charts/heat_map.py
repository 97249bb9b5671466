"""A sweep over two knobs as a map: a colour and a number for each cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from dropviz.charts.style import QUIET, arm_style, literal, sequential
from dropviz.sweeps import Cell, Measure, Sweep, Value, shown_value
from dropviz.sweeps.words import brief, told

ROW_PIXELS, FEWEST_PIXELS, MOST_PIXELS, MARGIN_PIXELS = 52, 220, 640, 70
MOST_COLUMNS_WITH_NUMBERS = 12  # beyond, they would not fit
GROUND = "rgba(128,128,128,0.08)"  # of cells without a number, on a light page and on a dark one
SIGNS, FAILED = {"waiting": "·", "running": "…"}, "✕"
DIGITS = 6  # of a number as it travels


def heat_map(sweep: Sweep, measure: Measure, cells: Sequence[Cell]) -> go.Figure:
    """The cells in order of ``Sweep.cells()``: the first knob from left to right, the second from bottom to top.

    The ``customdata`` of a cell is its position. Colours are about the measure's reference where it has one.
    """
    across, up = sweep.axes
    rows = range(len(up.values))
    place = [[column * len(up.values) + row for column in range(len(across.values))] for row in rows]

    def each(make: Any) -> list[list[Any]]:
        return [[make(cells[position], position) for position in line] for line in place]

    wide = len(across.values) > MOST_COLUMNS_WITH_NUMBERS
    trace = go.Heatmap(
        x=_labels(across.values),
        y=_labels(up.values),
        z=each(lambda cell, _: _height(measure, cell)),
        text=each(lambda cell, _: brief(measure, cell) if cell.interval else ""),
        texttemplate=None if wide else "%{text}",
        textfont={"size": 15 if len(across.values) <= 7 else 12},
        hovertext=each(lambda cell, _: literal(told(measure, cell))),
        hovertemplate=f"{across.key} = %{{x}}, {up.key} = %{{y}}<br>%{{hovertext}}<extra></extra>",
        customdata=each(lambda _, position: position),
        hoverongaps=False,
        xgap=2,
        ygap=2,
        colorbar={"thickness": 12, "outlinewidth": 0},
        **_colors(measure),
    )
    height = min(MOST_PIXELS, max(FEWEST_PIXELS, ROW_PIXELS * len(up.values))) + MARGIN_PIXELS
    axes = [_axis(title, values) for title, values in zip(sweep.titles(), (trace.x, trace.y), strict=True)]
    layout = {"template": None, "xaxis": axes[0], "yaxis": axes[1], "height": height, "plot_bgcolor": GROUND}
    return go.Figure([trace, _without_numbers(sweep, measure, cells)], layout=layout)


def _labels(values: Sequence[Value]) -> list[str]:
    return [literal(shown_value(value)) for value in values]


def _axis(title: str, labels: Sequence[str]) -> dict[str, Any]:
    """All categories, whether or not a cell of them has a number yet."""
    return {
        "type": "category",
        "title": {"text": title},
        "showgrid": False,
        "categoryarray": list(labels),
        "range": [-0.5, len(labels) - 0.5],
        "tickvals": list(labels),
    }


def _without_numbers(sweep: Sweep, measure: Measure, cells: Sequence[Cell]) -> go.Scatter:
    """A mark where a cell has no number: its reason is in what hovers."""
    empty = [position for position, cell in enumerate(cells) if cell.interval is None]
    places = sweep.places()
    return go.Scatter(
        x=_labels([places[position][0] for position in empty]),
        y=_labels([places[position][1] for position in empty]),
        mode="text",
        text=[
            SIGNS.get(cells[position].reason, FAILED if "failed" in cells[position].reason else "–")
            for position in empty
        ],
        textfont={"size": 15, "color": QUIET["light"]},
        hovertext=[
            f"{literal(sweep.place_title(places[position]))}<br>{literal(told(measure, cells[position]))}"
            for position in empty
        ],
        hoverinfo="text",
        customdata=empty,
        showlegend=False,
    )


def _height(measure: Measure, cell: Cell) -> float | None:
    if cell.interval is None:
        return None
    return float(f"{measure.factor * cell.interval.estimate:.{DIGITS}g}")


def _colors(measure: Measure) -> dict[str, Any]:
    if measure.reference is None:
        return {"colorscale": sequential("light")}
    below, above = arm_style("explicit+implicit").light, arm_style("dropout").light
    middle = str(sequential("light")[0][1])
    scale = [[0, below], [0.5, middle], [1, above]]
    return {"colorscale": scale, "zmid": measure.factor * measure.reference}
