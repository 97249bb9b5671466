"""The registry of checks: a function each, which yields what it found. ``@check("name")`` is all that a new one needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found; ``todo`` says what to do about it, if there is anything."""

    check: str
    state: State
    found: str
    todo: str = ""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What checks are told."""

    port: int


Answer = tuple[State, str, str]
Check = Callable[[Context], Iterator[Answer]]
CHECKS: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    """Register a function as the check of this name; it yields (state, what was found, what to do)."""

    def register(function: Check) -> Check:
        CHECKS[name] = function
        return function

    return register


def run_all(port: int) -> list[Finding]:
    """The findings of all checks, in the order in which they were registered; one that breaks is a problem itself."""
    return [finding for name in CHECKS for finding in run(name, Context(port=port))]


def run(name: str, context: Context) -> list[Finding]:
    """The findings of one check."""
    found = []
    try:
        for state, what, todo in CHECKS[name](context):
            found.append(Finding(check=name, state=state, found=what, todo=todo))
    except (ValueError, OSError) as error:  # a setting that is not possible, a disk that is not there
        found.append(Finding(check=name, state="problem", found=str(error)))
    return found
