"""How an arm looks, everywhere: one colour, dash and marker for each name (Okabe and Ito's palette), light and dark."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal
from zlib import crc32

Mode = Literal["light", "dark"]
FONT = "'Source Sans', 'Source Sans Pro', 'Segoe UI', system-ui, sans-serif"


@dataclass(frozen=True, kw_only=True)
class ArmStyle:
    """Colours on a light and on a dark page, a dash and a marker: together they tell the arms apart without any one of them.

    ``pattern`` is that of a bar, which has neither dash nor marker.
    """

    light: str
    dark: str
    dash: str
    marker: str
    pattern: str = ""

    def color(self, mode: Mode = "light") -> str:
        """The colour in this mode."""
        return self.light if mode == "light" else self.dark


_FAMILIES = {
    "none": ArmStyle(light="#5b6270", dark="#7d8591", dash="dot", marker="circle"),
    "dropout": ArmStyle(light="#0072b2", dark="#4d9fe6", dash="solid", marker="diamond", pattern="/"),
    "dropout-k": ArmStyle(light="#56b4e9", dark="#a5dbff", dash="dash", marker="square", pattern="\\"),
    "mask-noise": ArmStyle(
        light="#009e73", dark="#2fc79c", dash="dashdot", marker="triangle-up", pattern="x"
    ),
    "explicit": ArmStyle(light="#e69f00", dark="#f3b63f", dash="longdash", marker="cross", pattern="-"),
    "implicit": ArmStyle(light="#cc79a7", dark="#e87fbf", dash="3px,3px", marker="x", pattern="|"),
    "explicit+implicit": ArmStyle(
        light="#d55e00", dark="#ff8b50", dash="longdashdot", marker="triangle-down", pattern="+"
    ),
    "analytic-noise": ArmStyle(
        light="#00696b", dark="#8fe8dc", dash="8px,3px,2px,3px", marker="triangle-left", pattern="."
    ),
    "explicit-identity": ArmStyle(
        light="#8a6d00", dark="#c9b458", dash="11px,3px", marker="pentagon", pattern="-"
    ),
    "explicit-loss-jacobian": ArmStyle(
        light="#7a3b00", dark="#c98a5a", dash="6px,2px", marker="hexagon", pattern="|"
    ),
    "explicit-argmax": ArmStyle(
        light="#b00020", dark="#ff6b6b", dash="9px,2px,3px,2px", marker="octagon", pattern="+"
    ),
    "l2": ArmStyle(light="#6f2dbd", dark="#b48cff", dash="2px,2px", marker="diamond-wide", pattern="."),
    "linearized": ArmStyle(
        light="#2e7d32", dark="#86d36b", dash="13px,2px,2px,2px", marker="triangle-right", pattern="/"
    ),
    "gaussian": ArmStyle(light="#1b2a8f", dark="#7d8bff", dash="4px,2px", marker="hourglass", pattern="x"),
}
_OTHER = ArmStyle(light="#3f3f46", dark="#d4d4d8", dash="6px,2px,2px,2px", marker="star")
# Several k in one experiment: the colour stays, dash and marker tell them apart; k = 8 has the family's own.
_MANY_K = {
    2: ("2px,4px", "pentagon"),
    4: ("5px,3px", "hexagon"),
    16: ("12px,4px", "star-square"),
    32: ("16px,4px,4px,4px", "hourglass"),
}

_OTHER_K = (
    ("9px,3px", "star"),
    ("4px,2px,1px,2px", "bowtie"),
    ("10px,2px,2px,2px,2px,2px", "star-diamond"),
    ("1px,5px", "hexagram"),
    ("14px,2px", "diamond-tall"),
)

# An arm that goes on as another one has that one's colour; dash and marker tell it apart, also from where it switches elsewhere.
_SWITCHED = (
    ("3px,2px,9px,2px", "star-triangle-up"),
    ("7px,2px,2px,5px", "star-triangle-down"),
    ("2px,6px", "diamond-cross"),
    ("10px,5px", "circle-cross"),
    ("5px,2px,5px,6px", "square-cross"),
    ("1px,3px,6px,3px", "diamond-x"),
    ("15px,3px", "circle-x"),
)


def arm_style(arm: str) -> ArmStyle:
    """The look of an arm, by its name alone, so that it is the same in every chart and experiment."""
    former, _, last = arm.rpartition(":")
    if former:
        dash, marker = _pair(_SWITCHED, crc32(former.encode()))
        return replace(arm_style(last), dash=dash, marker=marker)
    match = re.fullmatch(r"dropout-(\d+)(\+(mask|analytic)-noise)?", arm)
    if match is None:
        return _FAMILIES.get(arm, _OTHER)
    family = _FAMILIES[f"{match[3]}-noise" if match[2] else "dropout-k"]
    k = int(match[1])
    look = (family.dash, family.marker) if k == 8 else _MANY_K.get(k, _pair(_OTHER_K, k))
    dash, marker = look
    return ArmStyle(light=family.light, dark=family.dark, dash=dash, marker=marker, pattern=family.pattern)


def _pair(looks: Sequence[tuple[str, str]], number: int) -> tuple[str, str]:
    """Of n dashes and n markers one of the n² pairs, so that two numbers seldom have the same."""
    more, dash = divmod(number, len(looks))
    return looks[dash][0], looks[(dash + more) % len(looks)][1]


INK: dict[Mode, str] = {"light": "#1c232d", "dark": "#e8eaed"}
QUIET: dict[Mode, str] = {"light": "#4b5563", "dark": "#b3bac5"}


@cache
def dark_partners() -> dict[str, str]:
    """Each colour of a light page, in hex → the one in its place on a dark page."""
    pairs = [(style.light, style.dark) for style in (*_FAMILIES.values(), _OTHER)]
    pairs += [(look["light"], look["dark"]) for look in (INK, QUIET)]
    pairs += list(zip(SEQUENTIAL["light"], SEQUENTIAL["dark"], strict=True))
    return dict(pairs)


def translucent(color: str, alpha: float) -> str:
    """``#rrggbb`` as ``rgba(…)``."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


SEQUENTIAL: dict[Mode, tuple[str, ...]] = {
    "light": ("#f3f7fb", "#b9d7ee", "#5fa8d8", "#1f6fae", "#0a3055"),
    "dark": ("#161c24", "#1f4a73", "#3a86c8", "#8fc7f2", "#eaf5ff"),
}


def sequential(mode: Mode) -> list[list[float | str]]:
    """The colours of maps: from the page's own ground to a strong blue."""
    colors = SEQUENTIAL[mode]
    return [[index / (len(colors) - 1), color] for index, color in enumerate(colors)]


def template(mode: Mode = "light") -> dict[str, Any]:
    """The plotly template: quiet axes on a transparent ground, text large enough for a projector."""
    ink, quiet = INK[mode], QUIET[mode]
    grid = "#e8ebef" if mode == "light" else "#2b323d"
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zeroline": False,
        "automargin": True,
        "tickfont": {"size": 13, "color": quiet},
        "title": {"font": {"size": 14, "color": quiet}, "standoff": 8},
    }
    hover = {"bgcolor": "#ffffff" if mode == "light" else "#1d232c", "font": {"size": 13, "color": ink}}
    layout = {
        "font": {"family": FONT, "size": 14, "color": ink},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": axis,
        "yaxis": axis,
        "hoverlabel": hover | {"bordercolor": grid},
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "font": {"size": 13}},
        "annotationdefaults": {"font": {"size": 13, "color": quiet}, "showarrow": False},
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "colorscale": dict.fromkeys(("sequential", "sequentialminus", "diverging"), sequential(mode)),
    }
    return {"layout": layout}


def literal(text: str) -> str:
    """Text from outside for a place where plotly reads tags: what somebody typed stays what they typed."""
    return html.escape(text, quote=False)
