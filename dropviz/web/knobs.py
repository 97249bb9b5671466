"""One widget a knob, built from the field's own title, description, bounds and choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dropviz.choices import bounds_of, choices_of

LOCKED = "Your teacher has locked this: it is the same for the whole class."
NUMBERS = ("0", "5", "10", "20", "50")  # offered beside words


@dataclass(frozen=True)
class Keys:
    """Where the widgets of a form keep what they hold, and which of them cannot be moved.

    Attributes:
        source: Where the starting values came from.
        locked: Whether a setting, by its dotted key, is locked.
    """

    source: str
    locked: Callable[[str], bool] = lambda setting: False

    def __call__(self, path: str) -> str:
        """The key of a widget, such as ``data.digits.noise``."""
        return f"{self.source}/{path}"

    def look(self, path: str, label: str, help_: str | None) -> dict[str, Any]:
        """Label, help and key of a widget, and whether it is disabled; a locked one shows a lock, and says why."""
        parts = path.split(".")
        if not self.locked(".".join(dict.fromkeys((parts[0], parts[-1])))):
            return {"label": label, "help": help_, "key": self(path), "disabled": False}
        explained = f"{help_ or ''} {LOCKED}".strip()
        return {"label": label, "help": explained, "key": self(path), "disabled": True}


def summary(
    choices: type[BaseModel], state: Mapping[Any, Any], key: Keys, group: str, start: Mapping[str, Any]
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
    key: Keys, group: str, choices: type[BaseModel], values: Mapping[str, Any], hidden: tuple[str, ...]
) -> dict[str, Any]:
    """A widget for each knob of a group but the hidden ones; returns what they hold."""
    return {
        name: knob(key, f"{group}.{name}", field, values[name])
        for name, field in choices.model_fields.items()
        if name not in hidden
    }


def knob(key: Keys, path: str, field: FieldInfo, value: Any) -> Any:
    """The widget that fits a field: a menu of one or several, a switch, a slider for shares, a number, or a list."""
    look = key.look(path, field.title or path.rpartition(".")[2], field.description)
    options = choices_of(field.annotation)
    if options and int in get_args(field.annotation):
        return _number_or(look, value, options)
    if options:
        return st.selectbox(options=options, index=options.index(value), **look)
    if isinstance(value, bool):
        return st.toggle(value=value, **look)
    if isinstance(value, list | tuple) and field.examples:
        options = list(dict.fromkeys([*value, *field.examples]))
        return st.multiselect(options=options, default=list(value), accept_new_options=True, **look)
    if isinstance(value, list | tuple):
        return _list(look, value)
    low, high = bounds_of(field)
    if isinstance(value, float) and (low, high) == (0, 1):
        return st.slider(min_value=0.0, max_value=1.0, value=value, step=0.05, **look)
    if isinstance(value, int):
        low, high = (None if bound is None else int(bound) for bound in (low, high))
        return st.number_input(
            min_value=low, max_value=high, value=value, step=max(1, _decade(value)), **look
        )
    if isinstance(value, float):
        low, high = (None if bound is None else float(bound) for bound in (low, high))
        return st.number_input(
            min_value=low, max_value=high, value=value, step=step_of(value), format="%g", **look
        )
    return st.text_input(value=value, **look)


def _list(look: dict[str, Any], value: list[Any] | tuple[Any, ...]) -> list[Any]:
    look |= {"help": f"{look['help']} Separate by commas."}
    text = st.text_input(value=", ".join(map(str, value)), **look)
    return typed_list(text)


def typed_list(text: str) -> list[Any]:
    """What stands between the commas, each as ``typed`` reads it."""
    return [typed(part.strip()) for part in text.split(",") if part.strip()]


def typed(text: str) -> Any:
    """The whole number that a text is; any other text as it stands, which is refused in a sentence where a number belongs."""
    try:
        return int(text) if text.isdecimal() else text
    except ValueError:  # Python reads no number of more than 4,300 digits
        return text


def _number_or(look: dict[str, Any], value: Any, words: list[str]) -> Any:
    """A menu of words and a few numbers, which takes any other number too; it is checked when Run is pressed."""
    options = list(dict.fromkeys([*words, *NUMBERS, str(value)]))
    look |= {"help": f"{look['help']} Type any other number."}
    chosen = st.selectbox(options=options, index=options.index(str(value)), accept_new_options=True, **look)
    return typed(chosen)


def _decade(value: int) -> int:
    return int(10 ** max(0, len(str(abs(value))) - 2))


def step_of(value: float) -> float:
    """The power of ten below a value: what one press of + or − adds."""
    return float(f"1e{f'{abs(value) or 0.1:e}'.partition('e')[2]}")
