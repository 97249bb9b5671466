"""The live board: one component that polls the data route and fills the charts. Here is its Python half."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast, get_args

import streamlit as st

from dropviz.charts import Chart, Page, Subject, arm_style, charts, template
from dropviz.experiment import ExperimentSpec
from dropviz.strategies import label
from dropviz.web import plotly_js
from dropviz.web.component import base, component

What = Literal["measure", "fork"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody asks for at a step of an arm: to have its whole spectrum measured, or to fork the run there."""

    what: What
    arm: str
    step: int


def board(
    view_id: str,
    spec: ExperimentSpec,
    state: str,
    page: Page = "lab",
    measured: int = 0,
    *,
    subject: Subject | None = None,
) -> Asked | None:
    """Show an experiment live, by the charts of one page.

    The component keeps its key, so it is mounted once and lives as long as the page; it asks for a run of the
    script when the experiment's state is no longer ``state``, so that the buttons follow.

    Args:
        view_id, spec, state: The experiment.
        page: Whose charts.
        measured: How much was measured on request; where that grows, the board looks for it.
        subject: What the charts are of, where that is more than the one experiment.

    Returns:
        What somebody just asked for, if anything.
    """
    data = contents(spec, page, subject) | {
        "view": view_id,
        "state": state,
        "heard": st.session_state.get("heard", 0),
        "measured": measured,
        "base": base(),
        "plotly": plotly_js.address(),
    }
    found = component("dropviz_board", "live_board")(
        key="board", data=data, on_changed_change=_hear, on_asked_change=lambda: None
    )
    return asked_of(found.asked, spec)


def asked_of(sent: Any, spec: ExperimentSpec) -> Asked | None:
    """What a browser sent, which may be anything, if it is something that can be asked of a run of this spec."""
    if not isinstance(sent, dict):
        return None
    what, arm, step = sent.get("what"), sent.get("arm"), sent.get("step")
    known = what in get_args(What) and arm in spec.arms
    if not known or isinstance(step, bool) or not (isinstance(step, int) and 0 <= step <= spec.train.steps):
        return None
    return Asked(what=cast(What, what), arm=cast(str, arm), step=step)


def contents(spec: ExperimentSpec, page: Page, subject: Subject | None = None) -> dict[str, Any]:
    """What a board shows of an experiment on a page, whatever its state is."""
    subject = subject or Subject.of(spec)
    return {
        "page": page,
        "heading": heading(spec, page),
        "notice": notice(subject, page),
        "charts": skeletons(subject, page),
        "samples": samples_card(subject) if page == "lab" else None,
        "steps": subject.steps,
        "refreshes": subject.refreshes,
        "arm": "dropout" if "dropout" in subject.arms else subject.arms[0],
        "band": subject.band,
        "styles": styles(subject.arms),
        "templates": {"light": template("light"), "dark": template("dark")},
    }


def heading(spec: ExperimentSpec, page: Page) -> dict[str, str]:
    """What stands above the charts; in the Lab that is the experiment's own sentence, which the data route knows."""
    if page == "lab":
        return {"title": "", "note": ""}
    note = (
        "The loss that is looked at is the one without dropout (ε = 0), on a few fixed training examples: the probe."
        " Move the step, and every panel goes there."
    )
    return {"title": f"Curvature · {spec.title()}", "note": note}


def notice(subject: Subject, page: Page) -> str:
    """What a page lacks because the experiment did not ask for it, and how to get it."""
    if page == "lab" or (subject.refreshes and subject.statistics):
        return ""
    how = "In the Lab, under Observation and statistics, set"
    if not subject.statistics and not subject.refreshes:
        return f"This run measures no statistics. {how} Statistics to auto and Curvature refreshes to 6, then Run."
    if not subject.statistics:
        return f"This run measures only refreshes. {how} Statistics to auto, then Run."
    return (
        "This run has no curvature refreshes, so its spectrum, the loss around its weights, the 1/k law and the alignment are"
        " not measured. Press measure here, which asks for the chosen arm and step, or set Curvature refreshes in the Lab, under"
        " Observation and statistics, and Run."
    )


@lru_cache(maxsize=128)
def skeletons(subject: Subject, page: Page = "lab") -> str:
    """The empty charts of a page for this subject as JSON; the same text for the same subject."""
    return json.dumps([_skeleton(chart, subject) for chart in charts(page) if chart.shown(subject)])


def _skeleton(chart: Chart, subject: Subject) -> dict[str, Any]:
    return {
        "name": chart.name,
        "title": chart.title,
        "subtitle": chart.subtitle(subject),
        "log": chart.log,
        "wide": chart.wide,
        "fold": chart.fold,
        "at_step": chart.at_step,
        "one_arm": chart.one_arm,
        "refreshed": chart.refreshed,
        "figure": json.loads(chart.figure(subject).to_json()),
    }


def samples_card(subject: Subject) -> dict[str, Any] | None:
    """The card of generated text, for a text; it stands before the chart that is named."""
    if subject.task.kind != "language" or subject.pooled:
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
    return {
        arm: {"light": s.light, "dark": s.dark, "dash": s.dash, "label": label(arm)}
        for arm, s in found.items()
    }


def _hear() -> None:
    """Count the reports, so that each run that one causes reaches the component, even if nothing else is new."""
    st.session_state["heard"] = st.session_state.get("heard", 0) + 1
