"""One widget a knob, built from the field's own title, description, bounds and choices."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

Key = Callable[[str], str]
NUMBERS = ("0", "5", "10", "20", "50")  # offered beside words


def summary(
    choices: type[BaseModel], state: Mapping[Any, Any], key: Key, group: str, start: Mapping[str, Any]
) -> str:
    """One line that says how the knobs stand, so that they can stay folded."""
    shown = []
    for name, field in choices.model_fields.items():
        if name not in ("name", "file"):
            value = state.get(key(f"{group}.{name}"), start[name])
            shown.append(f"{(field.title or name).lower()} {_short(value)}")
    text = " · ".join(shown)
    return text[:1].upper() + text[1:]


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def knobs(
    key: Key, group: str, choices: type[BaseModel], values: Mapping[str, Any], hidden: tuple[str, ...]
) -> dict[str, Any]:
    """A widget for each knob of a group but the hidden ones; returns what they hold."""
    return {
        name: knob(key(f"{group}.{name}"), field, values[name])
        for name, field in choices.model_fields.items()
        if name not in hidden
    }


def knob(key: str, field: FieldInfo, value: Any) -> Any:
    """The widget that fits a field: a menu of one or several, a switch, a slider for shares, a number, or a list."""
    label, help_ = field.title or key.rpartition(".")[2], field.description
    options = choices_of(field.annotation)
    if options and int in get_args(field.annotation):
        return _number_or(key, field, value, options)
    if options:
        return st.selectbox(label, options, options.index(value), help=help_, key=key)
    if isinstance(value, bool):
        return st.toggle(label, value, help=help_, key=key)
    if isinstance(value, list | tuple) and field.examples:
        options = list(dict.fromkeys([*value, *field.examples]))
        return st.multiselect(label, options, list(value), accept_new_options=True, help=help_, key=key)
    if isinstance(value, list | tuple):
        return _list(key, field, value)
    low, high = bounds_of(field)
    if isinstance(value, float) and (low, high) == (0, 1):
        return st.slider(label, 0.0, 1.0, value, 0.05, help=help_, key=key)
    if isinstance(value, int):
        low, high = (None if bound is None else int(bound) for bound in (low, high))
        return st.number_input(label, low, high, value, max(1, _decade(value)), help=help_, key=key)
    if isinstance(value, float):
        low, high = (None if bound is None else float(bound) for bound in (low, high))
        return st.number_input(label, low, high, value, _step(value), format="%g", help=help_, key=key)
    return st.text_input(label, value, help=help_, key=key)


def choices_of(annotation: Any) -> list[Any]:
    """The choices of a ``Literal``, else nothing."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return [choice for part in get_args(annotation) for choice in choices_of(part)]
    return []


def bounds_of(field: FieldInfo) -> tuple[float | None, float | None]:
    """The smallest and the largest value; the server checks open bounds again."""
    low: Any = None
    high: Any = None
    for rule in field.metadata:
        if isinstance(rule, annotated_types.Ge):
            low = rule.ge
        elif isinstance(rule, annotated_types.Gt):
            low = rule.gt
        elif isinstance(rule, annotated_types.Le):
            high = rule.le
        elif isinstance(rule, annotated_types.Lt):
            high = rule.lt
    return low, high


def _list(key: str, field: FieldInfo, value: list[Any] | tuple[Any, ...]) -> list[Any]:
    text = st.text_input(
        field.title or key,
        ", ".join(map(str, value)),
        help=f"{field.description} Separate by commas.",
        key=key,
    )
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [int(part) if part.isdecimal() else part for part in parts]


def _number_or(key: str, field: FieldInfo, value: Any, words: list[str]) -> Any:
    """A menu of words and a few numbers, which takes any other number too; it is checked when Run is pressed."""
    options = list(dict.fromkeys([*words, *NUMBERS, str(value)]))
    chosen = st.selectbox(
        field.title or key,
        options,
        options.index(str(value)),
        accept_new_options=True,
        help=f"{field.description} Type any other number.",
        key=key,
    )
    return int(chosen) if chosen.isdecimal() else chosen


def _decade(value: int) -> int:
    return int(10 ** max(0, len(str(abs(value))) - 2))


def _step(value: float) -> float:
    return float(f"1e{f'{abs(value) or 0.1:e}'.partition('e')[2]}")
