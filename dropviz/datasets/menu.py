"""The order in which people read the data sets: by what they ask for, what is here first, their own files last."""

from __future__ import annotations

from collections.abc import Mapping

from dropviz.datasets.dataset import Dataset

KINDS = ("classification", "regression", "language")


def in_reading_order(members: Mapping[str, type[Dataset]]) -> list[str]:
    """Names: classes, numbers, texts; of each those that need no download first, and in the plane after the others."""

    def place(name: str) -> tuple[bool, int, bool, bool, str]:
        member = members[name]
        kind = member.from_table({}).task.kind
        own = "file" in member.model_fields
        return own, KINDS.index(kind), bool(member.files), member.planar, member.title

    return sorted(members, key=place)


def menu_title(member: type[Dataset]) -> str:
    """Its title, and whether it is a download; the same whether that is here or not, for a menu goes by its titles."""
    return f"{member.title} · download" if member.files else member.title
