"""A sweep over two knobs as small multiples: against the first knob, a panel for each value of the second, on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dropviz.charts.against_knob import Line, knob_axis, reference_line, traces, why_empty
from dropviz.sweeps import Cell, Measure, Sweep, shown_value

PANEL_PIXELS, GAP_PIXELS = 140, 64  # between rows: tick labels, the knob's name, the title of the next panel
TITLE_PIXELS, LEGEND_PIXELS, BOTTOM_PIXELS = 34, 34, 52
FEW, COLUMNS_OF_FEW, COLUMNS = 4, 2, 3


def small_multiples(sweep: Sweep, cells: Sequence[tuple[Measure, Sequence[Cell]]]) -> go.Figure:
    """Measures of one unit with their intervals; ``customdata`` of a point is the position of its cell.

    Args:
        sweep: Over two knobs.
        cells: Each measure with its cells in the order of ``Sweep.cells()``.
    """
    across, up = sweep.axes
    values = up.values
    columns = min(len(values), COLUMNS_OF_FEW if len(values) <= FEW else COLUMNS)
    rows = -(-len(values) // columns)
    inside = rows * PANEL_PIXELS + (rows - 1) * GAP_PIXELS
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_yaxes="all",
        subplot_titles=[f"{up.key} = {shown_value(value)}" for value in values],
        horizontal_spacing=0.04,
        vertical_spacing=GAP_PIXELS / inside,
    )
    for panel in range(len(values)):
        row, column = divmod(panel, columns)
        _fill(figure, sweep, _lines(sweep, cells, panel), panel, (row + 1, column + 1))
        if panel + columns >= len(values):  # nothing stands below
            figure.update_xaxes(title={"text": across.key, "standoff": 4}, row=row + 1, col=column + 1)
    figure.update_xaxes(**knob_axis(sweep))
    figure.update_annotations(font_size=13)
    several = len(cells) > 1
    top = TITLE_PIXELS + (LEGEND_PIXELS if several else 0)
    legend = {"y": 1 + TITLE_PIXELS / inside, "yanchor": "bottom"}
    return figure.update_layout(
        template=None,
        height=top + inside + BOTTOM_PIXELS,
        margin={"t": top, "b": BOTTOM_PIXELS},
        showlegend=several,
        legend=legend,
    )


def _lines(sweep: Sweep, cells: Sequence[tuple[Measure, Sequence[Cell]]], panel: int) -> list[Line]:
    stride = len(sweep.axes[1].values)
    return [
        Line(measure=measure, cells=found[panel::stride], positions=(panel, stride))
        for measure, found in cells
    ]


def _fill(figure: go.Figure, sweep: Sweep, lines: Sequence[Line], panel: int, place: tuple[int, int]) -> None:
    axes = str(panel + 1) if panel else ""
    for trace in traces(sweep, lines):
        if panel:
            trace.showlegend = False
        figure.add_trace(trace, row=place[0], col=place[1])
    extra: list[dict[str, Any]] = why_empty(lines, axes)
    for annotation in extra:
        figure.add_annotation(annotation)
    for shape in reference_line(lines[0].measure, axes):
        figure.add_shape(shape)
