"""Inputs: whatever a type can hold, and real ones with something in them changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

NASTY = (
    "../../etc/passwd",
    "/etc/passwd",
    "..%2f..%2fetc",
    "a\0b",
    "\u202egnp.exe",
    "<img src=x onerror=alert(1)>",
    "![x](http://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "$\\href{javascript:alert(1)}{x}$",
    "{{7*7}}",
    "__import__('os').system('id')",
    "!!python/object/apply:os.system ['id']",
    "'; DROP TABLE jobs; --",
    "9" * 400,
    "1e999",
    "nan",
    "[" * 3000,
    "{" * 3000,
    "\U0001f600" * 50,
)
texts = st.one_of(st.text(max_size=60), st.sampled_from(NASTY), st.text(max_size=3000))
short = st.one_of(st.text(max_size=40), st.sampled_from(NASTY))
numbers = st.one_of(
    st.integers(), st.integers(-(2**70), 2**70), st.floats(), st.sampled_from([0, -1, 10**9, 10**400, 2**31])
)
scalars = st.one_of(st.none(), st.booleans(), numbers, short)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(short, inner, max_size=5)),
    max_leaves=12,
)


@st.composite
def changed(draw: Callable[[Any], Any], table: dict[str, Any]) -> dict[str, Any]:
    """A table in which one to three things, wherever they are, are gone, or something else, or double, or new."""
    found = json.loads(json.dumps(table))
    for _ in range(draw(st.integers(1, 3))):
        _change(draw, found)
    return found


def _change(draw: Callable[[Any], Any], node: Any) -> None:
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and draw(st.integers(0, 3)):
            node = node[key]
            continue
        how = draw(st.integers(0, 3))
        if how == 0:
            del node[key]
        elif how == 1 and isinstance(node, dict):
            node[draw(short)] = draw(values)
        else:
            node[key] = draw(values)
        return


@st.composite
def alike(draw: Callable[[Any], Any], table: dict[str, Any], *parts: str) -> dict[str, Any]:
    """A table in which one to three texts, numbers or switches of these parts are others: of its form, so that more of it is read."""
    found = json.loads(json.dumps(table))
    for _ in range(draw(st.integers(1, 3))):
        node: Any = {part: found[part] for part in parts}
        while True:
            key = draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
            if not isinstance(node[key], dict | list) or not node[key]:
                break
            node = node[key]
        kinds = {bool: st.booleans(), int: st.integers(-5, 2**70), float: st.floats(), str: short}
        node[key] = draw(kinds.get(type(node[key]), values))
    return found


@st.composite
def damaged(draw: Callable[[Any], Any], content: bytes) -> bytes:
    """Bytes of which some are others, gone, double or new."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(0, len(found) - 1)))
        length = draw(st.integers(0, 40))
        how = draw(st.integers(0, 3))
        if how == 0:
            found[place : place + length] = draw(st.binary(max_size=40))
        elif how == 1:
            del found[place : place + length]
        elif how == 2:
            found[place:place] = found[place : place + length] * draw(st.integers(1, 20))
        elif found:
            found[place] = draw(st.integers(0, 255))
    return bytes(found)
