"""Charts over several runs: curves laid over each other, differences to a reference, scores against what they cost.

An arm looks as it does everywhere. Runs are told apart by what an arm's look leaves free: their number at the end of the
line, the marker's filling, and a line that is fainter the later the run stands in the list; or by panels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from dropviz.charts.style import QUIET, arm_style, literal, translucent
from dropviz.charts.traces import BAND_ALPHA, value_axis

Trace = dict[str, Any]
Panels = Literal["one", "by arm", "by run"]
FILLINGS = ("", "-open", "-dot", "-open-dot")
FAINTEST = 0.45
CLEAR_BANDS, MOST_BANDS = 4, 8  # lines: above, bands are fainter; above, they would hide each other
MOST_NUMBERED = 24  # lines, above which there is no room for numbers
COLUMNS, PANEL_HEIGHT, MOST_PANELS = 2, 250, 12
LABEL_HEIGHT = 0.045  # of the height of a panel


@dataclass(frozen=True, kw_only=True)
class Line:
    """An arm of a run, as it is drawn: x, mean and interval (n,), NaN where there is none.

    ``stopped`` says that it ends because it diverged or failed, which is marked.
    """

    run: int
    arm: str
    x: np.ndarray
    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    stopped: bool = False


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A difference to the reference, with its interval where it has one; ``paired`` says how it was formed."""

    run: int
    arm: str
    value: float
    lower: float | None
    upper: float | None
    paired: bool


def overlay(
    lines: Sequence[Line], runs: Sequence[int], *, x: str, y: str, log: bool, panels: Panels = "one"
) -> go.Figure:
    """Curves over an x axis, in one panel or in one for each arm or run.

    Args:
        lines: In the order of the legend.
        runs: The numbers of all runs that are compared, in their order.
        x, y: Titles of the axes.
        log: Whether the y axis is logarithmic.
        panels: What has a panel of its own.
    """
    key: Callable[[Line], str] = {
        "one": lambda line: "",
        "by arm": lambda line: line.arm,
        "by run": lambda line: f"run {line.run}",
    }[panels]
    names = list(dict.fromkeys(key(line) for line in lines))[:MOST_PANELS]
    place = {name: index for index, name in enumerate(names)}
    alpha = _band_alpha(len(lines))
    numbered = len(runs) > 1 and len(lines) <= MOST_NUMBERED and panels != "by run"
    traces, labels = list[Trace](), list[Trace]()
    for name in names:
        here = [line for line in lines if key(line) == name]
        traces += [trace for line in here for trace in _traces(line, runs, place[name], alpha)]
        labels += _labels(here, place[name], numbered=numbered, log=log)
    shown = set[str]()
    for trace in traces:  # each arm once in the legend
        if trace["mode"] == "lines+markers":
            trace["showlegend"] = trace["name"] not in shown
            shown.add(trace["name"])
    return _figure(traces + labels, _axes(names, x=literal(x), y=literal(y), log=log))


def _figure(traces: Sequence[Trace], layout: dict[str, Any]) -> go.Figure:
    """Of what is known to be right (a test has plotly check it): its validators would take a millisecond a trace."""
    return go.Figure(list(traces), layout | {"template": None}, _validate=False)


def _axes(names: Sequence[str], *, x: str, y: str, log: bool) -> dict[str, Any]:
    value = value_axis(log) | ({"tickformat": ".0%"} if "accuracy" in y and not log else {})
    if len(names) < 2:
        return {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}} | value, "height": 420}
    rows, found, titles = -(-len(names) // COLUMNS), dict[str, Any](), []
    for index, name in enumerate(names):
        row, column = divmod(index, COLUMNS)
        number = str(index + 1) if index else ""
        top, height = 1 - row / rows, (1 - 0.22) / rows
        left = column * 0.53
        bottom = row == (len(names) - 1 - column) // COLUMNS
        found[f"xaxis{number}"] = {
            "domain": [left, left + 0.47],
            "anchor": f"y{number}",
            "title": {"text": x if bottom else ""},
        } | ({"matches": "x"} if index else {})
        found[f"yaxis{number}"] = {
            "domain": [top - height, top - 0.02],
            "anchor": f"x{number}",
            "title": {"text": "" if column else y},
        } | (value | {"matches": "y"} if index else value)
        titles.append(
            {"text": name, "x": left, "y": top, "xref": "paper", "yref": "paper", "xanchor": "left"}
            | {"yanchor": "bottom", "showarrow": False}
        )
    return found | {"annotations": titles, "height": 60 + PANEL_HEIGHT * rows, "legend": {"y": 1.05}}


def _traces(line: Line, runs: Sequence[int], panel: int, alpha: float) -> list[Trace]:
    style, place = arm_style(line.arm), runs.index(line.run)
    name = row_name(line.run, line.arm, runs)
    marker = {"symbol": f"{style.marker}{FILLINGS[place % len(FILLINGS)]}", "color": style.light, "size": 8}
    common = _axes_of(panel) | {"legendgroup": line.arm, "opacity": _faintness(place, len(runs))}
    found = []
    there = np.isfinite(line.lower) & np.isfinite(line.upper)
    if alpha and there.any():
        found.append(
            dict(
                x=np.r_[line.x[there], line.x[there][::-1]],
                y=np.r_[line.upper[there], line.lower[there][::-1]],
                fill="toself",
                fillcolor=translucent(style.light, alpha),
                line={"width": 0, "dash": style.dash, "color": style.light},
                mode="lines",
                hoverinfo="skip",
                showlegend=False,
                name=f"{name}: interval",
                **common,
            )
        )
    found.append(
        dict(
            x=line.x,
            y=line.mean,
            mode="lines+markers",
            line={"color": style.light, "dash": style.dash, "width": 2.5},
            marker=marker | {"maxdisplayed": 8},
            name=line.arm,
            hovertemplate=f"{name}<br>%{{x:,.4g}}<br>%{{y:.4g}}<extra></extra>",
            **common,
        )
    )
    return found


def _labels(lines: Sequence[Line], panel: int, *, numbered: bool, log: bool) -> list[Trace]:
    """At the end of each line its run's number, and that it stopped; moved apart where lines end side by side."""
    ended = [line for line in lines if len(line.x) and (numbered or line.stopped)]
    heights = _apart([line.mean for line in ended], log=log)
    return [
        dict(
            x=line.x[-1:],
            y=[height],
            mode="text",
            text=[" ".join([str(line.run)] * numbered + ["✕ stopped"] * line.stopped)],
            textposition="middle right",
            textfont={"size": 14, "color": arm_style(line.arm).light},
            cliponaxis=False,
            hoverinfo="skip",
            showlegend=False,
            legendgroup=line.arm,
            name=f"{line.run} · {line.arm}: label",
            **_axes_of(panel),
        )
        for line, height in zip(ended, heights, strict=True)
    ]


def _apart(curves: Sequence[np.ndarray], *, log: bool) -> list[float]:
    """Heights for labels at the ends of curves, in their order and at least a label's height from each other."""
    if not curves:
        return []
    whole = np.concatenate(curves).astype(np.float64)
    log = log and bool((whole > 0).all())
    scaled = np.log10(whole) if log else whole
    ends = (
        np.log10([curve[-1] for curve in curves]) if log else np.array([float(curve[-1]) for curve in curves])
    )
    gap = LABEL_HEIGHT * float(np.ptp(scaled))
    order = np.argsort(ends, kind="stable")
    moved = ends[order]
    for place in range(1, len(moved)):
        moved[place] = max(moved[place], moved[place - 1] + gap)
    moved -= (moved - ends[order]).mean()
    heights = np.empty_like(moved)
    heights[order] = moved
    return [float(10**height if log else height) for height in heights]


def _axes_of(panel: int) -> dict[str, str]:
    number = str(panel + 1) if panel else ""
    return {"xaxis": f"x{number}", "yaxis": f"y{number}"}


def _band_alpha(lines: int) -> float:
    return 0 if lines > MOST_BANDS else BAND_ALPHA if lines <= CLEAR_BANDS else BAND_ALPHA / 2


def _faintness(place: int, runs: int) -> float:
    return 1.0 if runs < 2 else 1 - (1 - FAINTEST) * place / (runs - 1)


def differences(
    bars: Sequence[Bar], runs: Sequence[int], *, reference: str, x: str, factor: float = 1.0
) -> go.Figure:
    """One row an arm of a run: its difference to the reference with its interval; hollow where it is of no pairs."""
    names = [row_name(bar.run, bar.arm, runs) for bar in bars]
    line = {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "xref": "x", "yref": "paper"}
    label = {"text": reference, "x": 0, "y": -0.75, "xanchor": "left", "xshift": 6, "showarrow": False}
    rows = {"tickvals": list(range(len(bars))), "ticktext": names, "range": [len(bars) - 0.5, -0.9]}
    layout = {
        "xaxis": {"title": {"text": x}},
        "yaxis": rows | {"fixedrange": True, "showgrid": False},
        "shapes": [line | {"line": {"color": QUIET["light"], "width": 1.5}}],
        "annotations": [label],
        "height": 110 + 34 * max(1, len(bars)),
    }
    return _figure([_bar(bar, row, names[row], factor) for row, bar in enumerate(bars)], layout)


def _bar(bar: Bar, row: int, name: str, factor: float) -> Trace:
    style, value = arm_style(bar.arm), factor * bar.value
    symbol = style.marker + ("" if bar.paired else "-open")
    trace: Trace = {
        "x": [value],
        "y": [row],
        "mode": "markers",
        "marker": {"symbol": symbol, "color": style.light, "size": 13},
        "name": name,
        "showlegend": False,
        "hovertemplate": f"{name}: %{{x:.4g}}<extra></extra>",
    }
    if bar.lower is not None and bar.upper is not None:
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [factor * bar.upper - value],
            "arrayminus": [value - factor * bar.lower],
            "color": style.light,
            "thickness": 2.5,
            "width": 7,
        }
    return trace


def row_name(run: int, arm: str, runs: Sequence[int]) -> str:
    """``2 · dropout``, or ``dropout`` where there is one run only."""
    return f"{run} · {arm}" if len(runs) > 1 else arm


def against_cost(
    lines: Sequence[Line], runs: Sequence[int], *, x: str, y: str, budget: float | None, log: bool
) -> go.Figure:
    """Curves over what they cost, on a logarithmic axis, and a mark at the budget at which they are compared."""
    figure = overlay(lines, runs, x=x, y=y, log=log)
    figure.layout.xaxis.type = "log"
    if budget:
        place = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "x0": budget, "x1": budget}
        look = {"color": QUIET["light"], "width": 1.5, "dash": "dot"}
        figure.layout.shapes = [place | {"type": "line", "line": look}]
        words = {"text": "equal cost", "yref": "paper", "y": 1, "yanchor": "bottom", "showarrow": False}
        # Of a logarithmic axis plotly wants the logarithm for an annotation, and for it only.
        figure.layout.annotations = [words | {"x": math.log10(budget)}]
    return figure
