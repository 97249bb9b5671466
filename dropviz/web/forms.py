"""The form of a spec: which data set, which model, and their knobs.

A new data set, model or knob needs nothing here. Each widget's key holds where its starting value came from
(a preset or an experiment), so choosing another source starts afresh and an error loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import streamlit as st
from pydantic import BaseModel

from dropviz import datasets, models, uploads
from dropviz.datasets import Dataset
from dropviz.datasets.menu import in_reading_order, menu_title
from dropviz.experiment import (
    ExperimentSpec,
    LanguageChoices,
    ObserveChoices,
    SpecError,
    SurrogateChoices,
    TrainChoices,
)
from dropviz.strategies import examples, label
from dropviz.task import Task
from dropviz.web.data_files import availability, own_file
from dropviz.web.knobs import Keys, knob, knobs, summary
from dropviz.web.plain import plain

FOLDED: dict[str, tuple[type[BaseModel], str]] = {
    "train": (TrainChoices, "Optimizer and minibatch"),
    "language": (LanguageChoices, "Text: segment and state"),
    "surrogate": (SurrogateChoices, "Analytic arms: estimator, Hessian"),
    "observe": (ObserveChoices, "Observation and statistics"),
}
SHOWN_ABOVE = {"train": ("steps",)}
OWN_FILES = get_args(uploads.Kind)  # the data sets of these names read a file of a person's own


def spec_form(key: Keys, start: ExperimentSpec) -> dict[str, Any]:
    """Draw the form, starting from a spec, and return what it holds: a table for ``ExperimentSpec.from_table``."""
    table = start.to_table()
    table["data"] = _data(key, table["data"])
    task = task_of(table["data"])
    table["model"] = _model(key, table["model"], task)
    fields = ExperimentSpec.model_fields
    table["p"] = st.slider(
        min_value=0.0,
        max_value=max(0.95, table["p"]),
        value=table["p"],
        step=0.05,
        **key.look("p", fields["p"].title or "p", fields["p"].description),
    )
    arms_and_amount(key, table)
    for group, (choices, title) in FOLDED.items():
        if group == "language" and (task is None or task.kind != "language"):
            continue
        with st.expander(title):
            table[group] |= knobs(key, group, choices, table[group], SHOWN_ABOVE.get(group, ()))
    return table


def arms_and_amount(key: Keys, table: dict[str, Any]) -> None:
    """What is compared, over how many seeds and steps; what the widgets hold goes into the table."""
    fields = ExperimentSpec.model_fields
    described = (
        "What is compared. Type any other k, such as dropout-4 or dropout-4+mask-noise, or dropout@500:none to go on as"
        " another arm from step 500."
    )
    table["arms"] = st.multiselect(
        options=list(dict.fromkeys([*table["arms"], *examples()])),
        default=table["arms"],
        format_func=label,
        accept_new_options=True,
        **key.look("arms", "Arms", described),
    )
    left, right = st.columns(2)
    with left:
        table["seeds"] = knob(key, "seeds", fields["seeds"], table["seeds"])
    with right:
        table["train"]["steps"] = knob(
            key, "train.steps", TrainChoices.model_fields["steps"], table["train"]["steps"]
        )


def _data(key: Keys, value: Mapping[str, Any]) -> dict[str, Any]:
    members = datasets.registry.members
    names = in_reading_order(members)
    name = st.selectbox(
        options=names,
        index=names.index(value["name"]),
        format_func=lambda name: menu_title(members[name]),
        **key.look("data.name", "Data set", None),
    )
    start = dict(value) if name == value["name"] else members[name].from_table({}).to_table()
    file = {}
    if name in OWN_FILES:
        kind: uploads.Kind = "csv" if name == "csv" else "text"
        path = f"data.{name}.file"
        file = {
            "file": start["file"] if key.locked("data.file") else own_file(key(path), kind, start["file"])
        }
    table = {"name": name} | file | _folded(key, "data", members[name], start, ("name", *file))
    data = _read(table)
    if data is not None:
        availability(key("data.fetch"), data)
    return table


def _model(key: Keys, value: Mapping[str, Any], task: Task | None) -> dict[str, Any]:
    """Of the models that can do the task; where the one before cannot, the usual one."""
    members = models.registry.members
    names = list(members) if task is None else models.fitting(members, task)
    fallback = value["name"] if task is None else models.usual(task)
    name = st.selectbox(
        options=names,
        index=names.index(value["name"] if value["name"] in names else fallback),
        format_func=lambda name: members[name].title,
        **key.look("model.name", "Model", None),
    )
    start = dict(value) if name == value["name"] else members[name].from_table({}).to_table()
    table = {"name": name} | _folded(key, "model", members[name], start, ("name",))
    if task is not None and (reason := _unfit(table, task)):
        st.warning(plain(reason), icon=":material/warning:")
    return table


def _folded(
    key: Keys, group: str, member: type[BaseModel], start: Mapping[str, Any], hidden: tuple[str, ...]
) -> dict[str, Any]:
    path = f"{group}.{start['name']}"
    with st.expander(summary(member, st.session_state, key, path, start)):
        return knobs(key, path, member, start, hidden)


def _read(table: Mapping[str, Any]) -> Dataset | None:
    """The data set of a table; nothing where a knob is wrong, which is said when Run is pressed."""
    try:
        return datasets.registry.read(dict(table))
    except SpecError:
        return None


def task_of(table: Mapping[str, Any]) -> Task | None:
    """What the data set of a form asks of a model, as far as that can be told: of a table, only once there is a file."""
    for data in (_read(table), datasets.registry.members[table["name"]].from_table({})):
        try:
            if data is not None:
                return data.task
        except SpecError:
            continue
    return None


def _unfit(table: Mapping[str, Any], task: Task) -> str:
    """Why the model as it is set cannot do the task, if it cannot."""
    try:
        reason = models.registry.read(dict(table)).unfit(task)
    except SpecError:
        return ""
    return f"{models.registry.members[table['name']].title}: {reason}" if reason else ""
