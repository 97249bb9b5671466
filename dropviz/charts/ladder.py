"""From nothing to dropout: one row an arm, one dot a seed, and shaded where the gain comes from."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from dropviz.analysis import FEWEST_SEEDS
from dropviz.analysis.score import score_of
from dropviz.charts.chart import Chart, Subject
from dropviz.charts.style import arm_style, translucent
from dropviz.strategies import Strategy, label, strategy

EFFECT = "#0072b2"


def rungs(arms: Sequence[str]) -> list[str]:
    """The arms in the order of the ladder: none, up through dropout-k to dropout, the formulas in its place, what switches."""
    return sorted(arms, key=lambda arm: (_place(strategy(arm)), arms.index(arm)))


def _place(arm: Strategy) -> tuple[int, int]:
    if arm.name == "none":
        return 0, 0
    if arm.switches:
        return 5, arm.switches[0]
    if not arm.name.startswith("dropout"):
        return 4, 0
    if arm.replicas == 1:
        return 3, 0
    return (2 if arm.name.endswith("-noise") else 1), -arm.replicas


def _row(arm: str, row: int, subject: Subject) -> list[go.Scatter]:
    style, name = arm_style(arm), label(arm)
    shown = ".4f" if score_of(subject.task).less_is_better else ".2%"
    seeds = go.Scatter(
        name=f"{name}: seeds",
        mode="markers",
        marker={"color": style.light, "opacity": _faintness(subject.seeds), "size": 9, "symbol": "circle"},
        line={"dash": style.dash},
        legendgroup=arm,
        showlegend=False,
        meta={"arm": arm, "role": "seeds", "row": row},
        hovertemplate=f"{name}: one seed<br>%{{x:{shown}}}<extra></extra>",
    )
    mean = go.Scatter(
        name=name,
        mode="markers",
        marker={
            "color": style.light,
            "size": 15,
            "symbol": style.marker,
            "line": {"color": "#ffffff", "width": 1.5},
        },
        line={"dash": style.dash},
        error_x={"type": "data", "symmetric": False, "color": style.light, "thickness": 2.5, "width": 7},
        legendgroup=arm,
        meta={"arm": arm, "role": "mean", "row": row},
        hovertemplate=f"{name}: mean, {subject.band}<br>%{{x:{shown}}}<extra></extra>",
    )
    return [seeds, mean]


def _faintness(seeds: int) -> float:
    """Opacity of one seed's dot: the more there are, the fainter, so that the mean stays on top."""
    return max(0.12, min(0.45, 6 / seeds))


def _effect(name: str, alpha: float, rows: int, *, to_the_left: bool) -> list[go.Scatter]:
    area = go.Scatter(
        name=f"{name} effect",
        mode="lines",
        fill="toself",
        fillcolor=translucent(EFFECT, alpha),
        line={"width": 0, "dash": "solid"},
        marker={"symbol": "square", "color": EFFECT},
        showlegend=False,
        hoverinfo="skip",
        meta={"role": "effect", "effect": name, "rows": rows},
    )
    label = go.Scatter(
        name=f"{name} effect: label",
        mode="text",
        text=[f"{name} effect" if name == "explicit" else name],
        textposition="middle center"
        if name == "explicit"
        else f"middle {'left' if to_the_left else 'right'}",
        textfont={"size": 13, "color": EFFECT},
        line={"dash": "solid"},
        marker={"symbol": "square"},
        showlegend=False,
        hoverinfo="skip",
        cliponaxis=False,
        meta={"role": "effect-label", "effect": name},
    )
    return [area, label]


def _figure(subject: Subject) -> go.Figure:
    arms = rungs(subject.arms)
    rows, score = len(arms), score_of(subject.task)
    left = score.less_is_better
    areas = [
        *_effect("explicit", 0.09, rows, to_the_left=left),
        *_effect("implicit", 0.22, rows, to_the_left=left),
    ]
    marks = [trace for row, arm in enumerate(arms) for trace in _row(arm, row, subject)]
    return go.Figure(
        [*areas, *marks],
        layout={
            "template": None,
            "xaxis": {"title": {"text": score.axis("validation")}}
            | ({} if score.less_is_better else {"tickformat": ".0%"}),
            "yaxis": {
                "title": {"text": ""},
                "tickvals": list(range(rows)),
                "ticktext": [label(arm).replace(", then ", ",<br>then ") for arm in arms],
                "range": [rows - 0.5, -0.95],
                "fixedrange": True,
                "showgrid": False,
            },
            "height": 90 + 36 * rows,
        },
    )


def _subtitle(subject: Subject) -> str:
    anecdote = subject.seeds < FEWEST_SEEDS
    interval = f"one dot a seed, {subject.band}" if anecdote else "one dot a seed, mean and 95 % t interval"
    k = subject.largest_k
    if k is None or not {"none", "dropout"} <= set(subject.arms):
        return f"{interval[0].upper()}{interval[1:]}"
    return (
        f"{interval[0].upper()}{interval[1:]}. Explicit effect: none → dropout-{k}."
        f" Implicit effect: dropout-{k} → dropout."
    )


chart = Chart(
    name="ladder",
    place=0,
    title="From nothing to dropout: where the gain comes from",
    subtitle=_subtitle,
    figure=_figure,
    metrics=(),
    log=None,
    wide=True,
)
