"""Choices that a person makes: frozen pydantic models whose errors read as one clear sentence.

A knob is an ordinary ``Field`` with a title, a description and bounds; the form in the page, the command
line and the validation all read that one declaration. Nothing here knows what the knobs mean.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

LONGEST_NAME = 80  # characters of a key in a message, and of a name that others are compared with


class SpecError(ValueError):
    """A choice that cannot be run; the message names the value, the rule and the fix."""


class Choices(BaseModel):
    """A frozen group of knobs that refuses unknown keys and numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> Any:
        """Validate a plain table, as it comes from TOML, JSON or a form.

        Raises:
            SpecError: One sentence about the first thing that is wrong.
        """
        try:
            return cls.model_validate(table)
        except ValidationError as error:
            raise SpecError(explain(error, cls)) from None

    def to_table(self) -> dict[str, Any]:
        """The same choices as JSON-safe plain values; ``from_table`` reads them back unchanged."""
        return self.model_dump(mode="json")


def unknown_name(kind: str, name: object, known: Iterable[str]) -> SpecError:
    """The error for a name that is not among the known ones, with the nearest of them as the fix."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name)[:LONGEST_NAME], names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return SpecError(f"{shown(name)} is not a {kind}: choose one of {', '.join(names)}{hint}")


def explain(error: ValidationError, cls: type[BaseModel]) -> str:
    """Turn pydantic's first complaint into a sentence that names the value, the rule and the fix."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    where = ".".join(_named(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return _unknown_key(where, first, cls)
    if first["type"] == "missing":
        return f"{where} is missing: add it."
    return f"{where} = {shown(first['input'])} is not possible: {_rule(first)}."


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


def _rule(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    bounds = {
        "greater_than": "it must be above {gt}",
        "greater_than_equal": "it must be at least {ge}",
        "less_than": "it must be below {lt}",
        "less_than_equal": "it must be at most {le}",
        "literal_error": "choose {expected}",
        "too_short": "give at least {min_length}",
        "too_long": "give at most {max_length}",
        "finite_number": "it must be a finite number",
    }
    kinds = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "text"}
    if details["type"] in bounds:
        return bounds[details["type"]].format(**context)
    kind = details["type"].split("_")[0]
    if kind in kinds:
        return f"it must be {kinds[kind]}"
    if kind in ("tuple", "list"):
        return "it must be a list"
    if kind in ("dict", "model"):
        return "it must be a table of settings"
    return details["msg"][0].lower() + details["msg"][1:]


def _unknown_key(where: str, details: ErrorDetails, cls: type[BaseModel]) -> str:
    *parents, key = details["loc"]
    known = _fields_at(cls, tuple(str(parent) for parent in parents))
    near = difflib.get_close_matches(_named(key), known, n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}."
    return f"{where} is not a setting: {fix}"


def _fields_at(cls: type[BaseModel], parents: tuple[str, ...]) -> list[str]:
    for parent in parents:
        annotation = cls.model_fields[parent].annotation if parent in cls.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return sorted(cls.model_fields)
        cls = annotation
    return sorted(cls.model_fields)


def _named(part: object) -> str:
    """A key as an error message shows it: as it is, cut when it is long."""
    text = str(part)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."


def shown(value: object) -> str:
    """A value as an error message shows it: its repr, cut when it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
