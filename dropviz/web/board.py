"""The live board: one component that polls the data route and fills the charts. Here is its Python half."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import streamlit as st

from dropviz.charts import Subject, arm_style, charts, template
from dropviz.experiment import ExperimentSpec
from dropviz.web import plotly_js


def board(view_id: str, spec: ExperimentSpec, state: str) -> None:
    """Show an experiment live.

    The component keeps its key, so it is mounted once and lives as long as the page; it asks for a run of the
    script when the experiment's state is no longer ``state``, so that the buttons follow.
    """
    subject = Subject.of(spec)
    data = {
        "view": view_id,
        "state": state,
        "heard": st.session_state.get("heard", 0),
        "charts": skeletons(subject),
        "samples": samples_card(subject),
        "band": subject.band,
        "styles": styles(subject.arms),
        "templates": {"light": template("light"), "dark": template("dark")},
        "base": _base(),
        "plotly": plotly_js.address(),
    }
    _component()(key="board", data=data, on_changed_change=_hear)


@lru_cache(maxsize=128)
def skeletons(subject: Subject) -> str:
    """The empty charts of this subject as JSON; the same text for the same subject."""
    return json.dumps([_skeleton(chart, subject) for chart in charts() if chart.shown(subject)])


def _skeleton(chart: Any, subject: Subject) -> dict[str, Any]:
    return {
        "name": chart.name,
        "title": chart.title,
        "subtitle": chart.subtitle(subject),
        "log": chart.log,
        "wide": chart.wide,
        "figure": json.loads(chart.figure(subject).to_json()),
    }


def samples_card(subject: Subject) -> dict[str, Any] | None:
    """The card of generated text, for a text; it stands before the chart that is named."""
    if subject.task.kind != "language":
        return None
    return {
        "title": "Generated text",
        "subtitle": "Of the first seed's networks, dropout off. Marked: the beginning of the validation text, which they go on from",
        "arms": list(subject.arms),
        "token": subject.task.token,
        "before": "loss",
    }


def styles(arms: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """How each arm looks, for the legend and for the dark mode."""
    found = {arm: arm_style(arm) for arm in arms}
    return {arm: {"light": s.light, "dark": s.dark, "dash": s.dash} for arm, s in found.items()}


def _base() -> str:
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def _hear() -> None:
    """Count the reports, so that each run that one causes reaches the component, even if nothing else is new."""
    st.session_state["heard"] = st.session_state.get("heard", 0) + 1


@cache
def _component() -> Any:
    folder = resources.files("dropviz.web") / "live_board"
    scripts = sorted(file.name for file in folder.iterdir() if file.name.endswith(".js"))
    return st.components.v2.component(
        "dropviz_board",
        css=(folder / "board.css").read_text("utf-8"),
        js="\n".join(
            (folder / name).read_text("utf-8") for name in scripts
        ),  # one module, in order of the numbers
        isolate_styles=False,  # plotly's layout needs the page's own tree
    )
