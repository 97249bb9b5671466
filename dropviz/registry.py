"""One folder, one kind of thing, one file each: the members are found by being there.

A member module defines one public subclass of the folder's base class with a default for its ``name``; a subclass
without one is a base that several members share. All must be importable without torch (the page lists the members and
their knobs), so they import torch inside the functions that compute.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Any, Generic, TypeVar

from dropviz.choices import Choices, SpecError, shown, unknown_name

Anything = TypeVar("Anything")
Member = TypeVar("Member", bound=Choices)


def modules_of(package: str) -> Iterator[ModuleType]:
    """The modules of a package, imported, in alphabetical order."""
    for info in pkgutil.iter_modules(import_module(package).__path__):
        yield import_module(f"{package}.{info.name}")


def classes_of(package: str, base: type[Anything]) -> list[type[Anything]]:
    """The subclasses of ``base`` that the modules of a package define."""
    return [
        value
        for module in modules_of(package)
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and value is not base
        and value.__module__ == module.__name__
    ]


class Registry(Generic[Member]):
    """The members of one folder, by name."""

    def __init__(self, package: str, base: type[Member], kind: str) -> None:
        self.package, self.base, self.kind = package, base, kind

    @cached_property
    def members(self) -> dict[str, type[Member]]:
        """Name → class, in alphabetical order of the names."""
        names = [(one.model_fields["name"], one) for one in classes_of(self.package, self.base)]
        return dict(sorted((name.default, one) for name, one in names if not name.is_required()))

    def read(self, table: Any) -> Member:
        """Build a member from a table such as ``{"name": "digits", "train_size": 400}``, or its bare name.

        Raises:
            SpecError: The name or one of the knobs is wrong.
        """
        if isinstance(table, self.base):
            return table
        if isinstance(table, str):
            table = {"name": table}
        if not isinstance(table, dict) or "name" not in table:
            raise SpecError(f"{shown(table)} does not name a {self.kind}: write a table with a name.")
        if not isinstance(table["name"], str) or table["name"] not in self.members:
            raise unknown_name(self.kind, table["name"], self.members)
        return self.members[table["name"]].from_table(table)
