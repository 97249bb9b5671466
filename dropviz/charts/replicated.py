"""A row of the paper as one small chart: how much of dropout's gain each arm reaches, on every setting."""

from __future__ import annotations

from collections.abc import Iterator

import plotly.graph_objects as go

from dropviz.analysis import Interval
from dropviz.analysis.claims import SHARE
from dropviz.charts.style import arm_style
from dropviz.replication import Outcome, shares

WIDEST = 2.2  # of the axis, in gains to each side of its middle
ROW, ARM, AXIS = 18, 15, 96  # pixels: of a setting, of each arm on it, of axis and legend
INK = "#1c232d"

Line = tuple[str, dict[str, Interval]]


def replicated(outcome: Outcome) -> go.Figure:
    """0 % is none, 100 % is dropout; one row a setting, one marker an arm, bars are 95 % intervals."""
    lines = list(_lines(outcome))
    arms = list(dict.fromkeys(arm for _, found in lines for arm in found if arm not in ("none", "dropout")))
    places = {}
    for row, (_, found) in enumerate(lines):
        here = [arm for arm in arms if arm in found]
        for index, arm in enumerate(here):
            places[row, arm] = row + 0.7 * ((index + 0.5) / len(here) - 0.5)
    figure = go.Figure([_trace(arm, lines, places) for arm in arms])
    for x, name in ((0, "none"), (1, "dropout")):
        figure.add_vline(x=x, line={"width": 1.5, "dash": "dot", "color": arm_style(name).light})
        figure.add_annotation(x=x, y=-0.75, text=name, font={"color": arm_style(name).light})
    figure.update_layout(
        template=None,
        height=AXIS + max(1, len(lines)) * (ROW + ARM * max(1, len(arms))),
        xaxis={"title": {"text": "share of dropout's gain"}, "tickformat": ".0%", "range": _range(lines)},
        yaxis={
            "tickvals": list(range(len(lines))),
            "ticktext": [_title(*line) for line in lines],
            "range": [len(lines) - 0.4, -1.0],
            "fixedrange": True,
            "showgrid": False,
        },
    )
    return figure


def has_shares(outcome: Outcome) -> bool:
    """Whether there is anything to draw."""
    return any(found for _, found in _lines(outcome))


def replicated_rows(outcome: Outcome) -> list[list[str]]:
    """Setting, arm, seeds, mean with its interval, share of dropout's gain: the numbers of the chart as text."""
    rows = []
    for setting in outcome.settings.values():
        by_part = shares(setting)
        for label, arm in setting.arms.items():
            part, _, name = label.rpartition(": ")
            share = by_part.get(part, {}).get(name)
            level = "no finite number" if arm.mean is None else f"{arm.mean:.4f}"
            bounds = "–" if arm.lower is None or arm.upper is None else f"{arm.lower:.4f} to {arm.upper:.4f}"
            rows.append(
                [setting.title, label, str(arm.n), f"{setting.metric} {level}", bounds, _percent(share)]
            )
    return rows


COLUMNS = ("setting", "arm", "seeds", "mean", "95 % interval", "share of dropout's gain")


def _lines(outcome: Outcome) -> Iterator[Line]:
    for setting in outcome.settings.values():
        found = shares(setting)
        for part in found:
            yield (part or setting.title), found[part]


def _title(name: str, found: dict[str, Interval]) -> str:
    return name if found else f"{name}<br>(no gain of dropout shown)"


def _trace(arm: str, lines: list[Line], places: dict[tuple[int, str], float]) -> go.Scatter:
    style = arm_style(arm)
    here = [(row, found[arm]) for row, (_, found) in enumerate(lines) if arm in found]
    x = [share.estimate for _, share in here]
    bounded = [(share.lower, share.upper) for _, share in here]
    return go.Scatter(
        name=arm,
        x=x,
        y=[places[row, arm] for row, _ in here],
        mode="markers",
        marker={"color": style.light, "symbol": style.marker, "size": 10},
        line={"dash": style.dash},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [0 if upper is None else upper - middle for middle, (_, upper) in zip(x, bounded, strict=True)],
            "arrayminus": [0 if lower is None else middle - lower for middle, (lower, _) in zip(x, bounded, strict=True)],
            "color": style.light,
            "thickness": 2,
            "width": 4,
        },
        text=[f"{lines[row][0]}: {_percent(share)}" for row, share in here],
        hovertemplate=f"{arm}<br>%{{text}}<extra></extra>",
    )  # fmt: skip


def _range(lines: list[Line]) -> list[float]:
    """As far as the marks go, but not as far as an interval that says nothing."""
    shown = [share.estimate for _, found in lines for share in found.values()]
    low, high = min([0.0, *shown]), max([1.0, *shown])
    return [max(0.5 - WIDEST, low - 0.25), min(0.5 + WIDEST, high + 0.25)]


def _percent(share: Interval | None) -> str:
    if share is None:
        return "–"
    return f"{SHARE.amount(share.estimate)} %{SHARE.bracket(share.lower, share.upper)}"
