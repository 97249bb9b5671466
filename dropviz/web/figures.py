"""A chart that is drawn whole by Python, beside its table: it holds still in the browser while its numbers change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from dropviz.charts import dark_partners, template
from dropviz.web import plotly_js
from dropviz.web.component import base, component


@dataclass(frozen=True, kw_only=True)
class Link:
    """A cell of a table that leads somewhere."""

    text: str
    href: str


Cell = str | Link


@dataclass(frozen=True, kw_only=True)
class Table:
    """The numbers of a chart as text, for those who cannot see it and for spreadsheets."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def to_json(self) -> str:
        """As it travels: the head, then the rows."""
        lines = [list(self.columns), *([_travelling(cell) for cell in row] for row in self.rows)]
        return json.dumps(lines, ensure_ascii=False, separators=(",", ":"))


def figure(
    key: str,
    chart: go.Figure | str,
    table: Table,
    *,
    title: str,
    subtitle: str = "",
    alt: str,
    selectable: bool = False,
) -> Any:
    """Draw a chart with its title, its table and a menu to keep it as an image or as CSV.

    Args:
        key: The component's, which stays the same as long as the chart is of the same thing.
        chart: The figure, or its JSON where a caller keeps that. Colours are those of a light page; those of
            ``charts.dark_partners`` change with the theme.
        table: The same numbers as text.
        title, subtitle: What stands above it.
        alt: What the chart shows, in a sentence, for who cannot see it.
        selectable: Whether a click on a point that has ``customdata`` chooses it.

    Returns:
        The ``customdata`` of the point that was just clicked, once; else None.
    """
    data = {
        "figure": chart if isinstance(chart, str) else chart.to_json(),
        "table": table.to_json(),
        "title": title,
        "subtitle": subtitle,
        "alt": alt,
        "selectable": selectable,
        "templates": {"light": template("light"), "dark": template("dark")},
        "dark": dark_partners(),
        "base": base(),
        "plotly": plotly_js.address(),
    }
    return component("dropviz_figure", "figure")(key=key, data=data, on_chosen_change=lambda: None).chosen


def _travelling(cell: Cell) -> str | dict[str, str]:
    return {"text": cell.text, "href": cell.href} if isinstance(cell, Link) else cell
