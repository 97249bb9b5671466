"""The values of a knob as people write them: a list, or a range with so many steps, even or by a constant factor."""

from __future__ import annotations

import math
import re
import tomllib
from typing import Literal

from dropviz.choices import SpecError, shown
from dropviz.sweeps.knobs import Value

Scale = Literal["linear", "log"]
LONGEST = 4000  # characters
DIGITS = 3  # of the values of a range: 0.316, not 0.31622776601683794
RANGE = re.compile(r"([^:\s]+):([^:\s]+):(\d{1,6})(?::(linear|log))?")


def grid(low: float, high: float, count: int, scale: Scale = "linear", *, whole: bool = False) -> list[Value]:
    """So many values from ``low`` to ``high``, both among them; the others to three digits.

    Args:
        low, high: The ends, which may be in either order.
        count: How many, at least two; of whole numbers those that fall together are one.
        scale: Even steps, or a constant factor between two values.
        whole: Whole numbers.

    Raises:
        SpecError: The ends or the count make no such range.
    """
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        raise SpecError(f"A range from {low:g} to {high:g} has no values: give two different ends.")
    if count < 2:
        raise SpecError(f"A range of {count} values is not possible: take at least 2.")
    if scale == "log" and not (low > 0 and high > 0):
        raise SpecError(
            f"A range from {low:g} to {high:g} has no constant factor: start above 0, or take even steps."
        )
    shares = [place / (count - 1) for place in range(count)]
    if scale == "log":
        found = [low * (high / low) ** share for share in shares]
    else:
        found = [low + (high - low) * share for share in shares]
    inner = [float(f"{value:.{DIGITS}g}") for value in found[1:-1]]
    if whole:
        return list(dict.fromkeys(round(value) for value in (low, *found[1:-1], high)))
    return list(dict.fromkeys([float(low), *inner, float(high)]))


def read_values(text: str) -> list[Value]:
    """Values as typed: ``0.1, 0.3``, ``relu, tanh``, ``[32], [128, 128]``, ``0.1:0.9:5`` or ``0.001:1:4:log``.

    Raises:
        SpecError: There is none, or they cannot be read.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise SpecError(f"These values take {len(text):,} characters: write at most {LONGEST:,}, or a range.")
    match = RANGE.fullmatch(text)
    if match:
        return _range(match)
    try:
        found = tomllib.loads(f"values = [{text}]")["values"]
    except (ValueError, RecursionError):  # no TOML, or a number of thousands of digits
        found = [_one(part) for part in text.split(",") if part.strip()]
    if not found:
        raise SpecError(
            "No values are given: write some, such as 0.1, 0.3, 0.5, or a range such as 0.1:0.9:5."
        )
    for value in found:
        if not isinstance(value, bool | int | float | str | list):
            raise SpecError(
                f"{shown(value)} is not a value of a knob: write numbers, words or lists of them."
            )
    return found


def read_vary(text: str) -> tuple[str, list[Value]]:
    """A knob and its values, as ``--vary`` takes them: ``p=0.1,0.3,0.5``.

    Raises:
        SpecError: There is no ``=``, or the values cannot be read.
    """
    key, separator, values = text.partition("=")
    if not separator or not key.strip():
        raise SpecError(f"{shown(text)} varies nothing: write KNOB=VALUES, such as p=0.1,0.3,0.5.")
    return key.strip(), read_values(values)


def _range(match: re.Match[str]) -> list[Value]:
    try:
        low, high = float(match[1]), float(match[2])
    except ValueError:
        raise SpecError(
            f"{shown(match[0])} is not a range: write FROM:TO:COUNT, such as 0.1:0.9:5."
        ) from None
    whole = all(re.fullmatch(r"[+-]?\d+", end) for end in (match[1], match[2]))
    count, scale = int(match[3]), match[4] or "linear"
    if count > 1000:
        raise SpecError(f"A range of {count:,} values is not possible: take at most 1,000.")
    return grid(
        low, high, count, "log" if scale == "log" else "linear", whole=whole and high - low >= count - 1
    )


def _one(text: str) -> Value:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text.strip()
