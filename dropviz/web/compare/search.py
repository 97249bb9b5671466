"""Finding runs among those that are listed: words, filters and an order. No streamlit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dropviz.store import Listed

MOST_FACETS = 200  # offered of each kind
ORIGINS = {
    "lab": "Lab",
    "command": "command line",
    "sweep": "What-if",
    "lesson": "lesson",
    "class": "class",
    "replication": "replication",
    "import": "import",
}
FACETS: dict[str, tuple[str, Callable[[Listed], Collection[str]]]] = {
    "state": ("State", lambda line: (line.state,)),
    "data": ("Data", lambda line: (named(line, "data"),)),
    "model": ("Model", lambda line: (named(line, "model"),)),
    "tag": ("Tag", lambda line: line.tags),
    "origin": ("From", lambda line: (ORIGINS.get(line.origin, line.origin),)),
}


def separates(lines: Sequence[Listed], facet: str) -> bool:
    """Whether a choice of this kind would leave some lines out: not where all have the same."""
    of = FACETS[facet][1]
    return len({frozenset(of(line)) for line in lines}) > 1


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What somebody looks for.

    Attributes:
        words: All of them must occur, whatever their case.
        facets: Facet → the values of which a run must have one; empty for any.
        whose: ``all``, ``mine`` or ``shared``.
        pinned: Whether only pinned ones are wanted.
    """

    words: str = ""
    facets: Mapping[str, Collection[str]] = field(default_factory=dict)
    whose: str = "all"
    pinned: bool = False


ORDERS: dict[str, Callable[[Listed], Any]] = {
    "Newest first": lambda line: -line.created_at,
    "Oldest first": lambda line: line.created_at,
    "By name": lambda line: line.shown_name.casefold(),
    "By state": lambda line: (line.state, -line.created_at),
}


def found(lines: Sequence[Listed], wanted: Wanted, order: str, visitor: str) -> list[Listed]:
    """The lines that are wanted, pinned ones first."""
    words = wanted.words.casefold().split()
    kept = [line for line in lines if _wanted(line, wanted, visitor) and _has(line, words)]
    return sorted(sorted(kept, key=ORDERS[order]), key=lambda line: not line.pinned)


def facets(lines: Iterable[Listed], facet: str) -> list[str]:
    """The values that any of the lines has."""
    read = FACETS[facet][1]
    return sorted({value for line in lines for value in read(line)})[:MOST_FACETS]


def named(line: Listed, group: str) -> str:
    """The name of its data set or model."""
    table = line.table.get(group)
    return str(table.get("name", "")) if isinstance(table, dict) else ""


def amount(line: Listed) -> str:
    """``6 arms × 8 seeds``."""
    arms, seeds = len(line.table.get("arms", ())), line.table.get("seeds", 0)
    return f"{arms} {'arm' if arms == 1 else 'arms'} × {seeds:,} {'seed' if seeds == 1 else 'seeds'}"


def _wanted(line: Listed, wanted: Wanted, visitor: str) -> bool:
    mine = line.owner == visitor
    if (wanted.whose == "mine" and not mine) or (wanted.whose == "shared" and not line.shared):
        return False
    if wanted.pinned and not line.pinned:
        return False
    return all(
        not values or set(values) & set(FACETS[facet][1](line)) for facet, values in wanted.facets.items()
    )


def _has(line: Listed, words: Sequence[str]) -> bool:
    if not words:
        return True
    arms = " ".join(map(str, line.table.get("arms", ())))
    parts = (line.shown_name, line.title, " ".join(line.tags), line.note, named(line, "data"))
    text = " ".join((*parts, named(line, "model"), arms)).casefold()
    return all(word in text for word in words)
