"""The knobs of a spec that a sweep can vary: by their dotted keys, and three that no single setting is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dropviz.choices import SpecError, bounds_of, choices_of, shown, unknown_name
from dropviz.experiment import ExperimentSpec
from dropviz.strategies.dropout import MOST_MASKS

Value = bool | int | float | str | list[int] | list[str]
Kind = Literal["number", "whole", "switch", "choice", "list"]

FIXED = ("arms", "seeds", "first_seed")  # every cell has the same
NOT_VARIED = ("data.file", "data.name", "model.name")  # by a form: these bring knobs of their own
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
MOST_DEPTH, MOST_WIDTH = 8, 4096  # of models with a list of widths


@dataclass(frozen=True, kw_only=True)
class Knob:
    """One thing to vary.

    Attributes:
        key: ``p``, ``train.learning_rate``, …; or ``k``, ``width``, ``depth``.
        title: In words, for menus and axes.
        kind: What its values are.
        value: The base's own.
        choices: Of a choice.
        low, high: The bounds of a number, where it has any.
    """

    key: str
    title: str
    kind: Kind
    value: Any
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None


def knobs(spec: ExperimentSpec) -> dict[str, Knob]:
    """Key → every knob of this spec, those that people vary most first."""
    found = {knob.key: knob for knob in (*_derived(spec), *_of(spec, spec, ""))}
    first = ("p", "k", "width", "depth", "data.label_noise", "data.train_size", "train.learning_rate")
    order = [*(key for key in first if key in found), *(key for key in found if key not in first)]
    return {key: found[key] for key in order if key not in NOT_VARIED}


def _derived(spec: ExperimentSpec) -> Iterator[Knob]:
    masks = [int(found) for arm in spec.arms for found in re.findall(r"^dropout-(\d+)", arm)]
    yield Knob(
        key="k",
        title="Masks a step k",
        kind="whole",
        value=max(masks, default=8),
        low=1,
        high=MOST_MASKS,
    )
    widths = getattr(spec.model, "widths", None)
    if widths:
        yield Knob(key="width", title="Width", kind="whole", value=widths[0], low=1, high=MOST_WIDTH)
        yield Knob(key="depth", title="Depth", kind="whole", value=len(widths), low=1, high=MOST_DEPTH)


def _of(spec: ExperimentSpec, group: BaseModel, prefix: str) -> Iterator[Knob]:
    for name, field in type(group).model_fields.items():
        value, key = getattr(group, name), f"{prefix}{name}"
        if isinstance(value, BaseModel):
            if name != "language" or spec.data.task.kind == "language":
                yield from _of(spec, value, f"{key}.")
        elif key not in FIXED and name != "name":
            yield _knob(key, field, value)


def _knob(key: str, field: FieldInfo, value: Any) -> Knob:
    low, high = bounds_of(field)
    choices = tuple(choices_of(field.annotation))
    kind: Kind = "list"
    if choices and not (isinstance(value, int) and int in getattr(field.annotation, "__args__", ())):
        kind = "choice"
    elif isinstance(value, bool):
        kind = "switch"
    elif isinstance(value, int):
        kind = "whole"
    elif isinstance(value, float):
        kind = "number"
    plain = list(value) if isinstance(value, tuple) else value
    return Knob(
        key=key, title=field.title or key, kind=kind, value=plain, choices=choices, low=low, high=high
    )


def usual_values(knob: Knob) -> list[Value]:
    """Values to begin with: all choices, shares from low to high, or the base's own with its halves and doubles."""
    if knob.kind == "switch":
        return [False, True]
    if knob.kind == "choice":
        return list(knob.choices)
    if knob.kind == "list":
        return [knob.value]
    if knob.kind == "number" and knob.low == 0 and knob.high == 1:
        return list(SHARES)
    center = knob.value or 1
    found = [center * factor for factor in (0.25, 0.5, 1, 2, 4)]
    if knob.kind == "whole":
        found = sorted({round(value) for value in found})
    low, high = (-inf if knob.low is None else knob.low), (inf if knob.high is None else knob.high)
    return [value for value in found if low <= value <= high]


def read(spec: ExperimentSpec, key: str) -> Any:
    """What a spec has at a key, as JSON has it.

    Raises:
        SpecError: It has no such knob, or every cell has to have the same.
    """
    if key in FIXED:
        raise SpecError(
            f"{key} cannot be varied: every cell of a sweep has the same; set it for all of them."
        )
    if key in ("k", "width", "depth"):
        found = {knob.key: knob for knob in _derived(spec)}
        if key not in found:
            raise SpecError(
                f"{spec.model.name} has no {key} in common: vary a knob of its own, such as {_own(spec)}."
            )
        return found[key].value
    value: Any = spec.to_table()
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            raise unknown_name("knob of this experiment", key, knobs(spec))
        value = value[part]
    if isinstance(value, dict):
        raise SpecError(f"{key} is a group of settings: vary one of them, such as {key}.{next(iter(value))}.")
    return value


def _own(spec: ExperimentSpec) -> str:
    own = [key for key in knobs(spec) if key.startswith("model.")]
    return own[0] if own else "p"


def with_value(spec: ExperimentSpec, key: str, value: Value) -> ExperimentSpec:
    """The spec with another value of a knob that it has (see ``read``).

    Raises:
        SpecError: The spec cannot be run with this value.
    """
    if key == "k":
        return _with_masks(spec, _whole(key, value, 1, MOST_MASKS))
    if key in ("width", "depth"):
        widths = spec.model.widths  # type: ignore[attr-defined]
        if key == "width":
            return _set(spec, "model.widths", [_whole(key, value, 1, MOST_WIDTH)] * len(widths))
        return _set(spec, "model.widths", [widths[0]] * _whole(key, value, 1, MOST_DEPTH))
    return _set(spec, key, value)


def _set(spec: ExperimentSpec, key: str, value: Value) -> ExperimentSpec:
    return spec.with_settings([f"{key}={json.dumps(value)}"])  # which is TOML, too


def _with_masks(spec: ExperimentSpec, k: int) -> ExperimentSpec:
    """With k masks in every arm that has more than one; where there is none, with such an arm."""
    arms = [re.sub(r"^dropout-\d+", f"dropout-{k}", arm) for arm in spec.arms]
    if arms == list(spec.arms) and f"dropout-{k}" not in arms:
        arms = arms if any(arm.startswith("dropout-") for arm in arms) else [*arms, f"dropout-{k}"]
    return spec.with_settings([f"arms={json.dumps(arms)}"])


def _whole(key: str, value: Value, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise SpecError(f"{key} = {shown(value)} is not possible: it must be a whole number.")
    if not low <= value <= high:
        raise SpecError(f"{key} = {shown(value)} is not possible: choose {low} to {high}.")
    return int(value)


def shown_value(value: Value) -> str:
    """A value as people read it: ``0.1``, ``128 × 128``, ``on``."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        joined = " × " if all(isinstance(part, int) for part in value) else ", "
        return joined.join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
