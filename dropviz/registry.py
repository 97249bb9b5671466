"""One folder, one kind of thing, one file each: the members are found by being there, or in an extension.

A member module defines one public subclass of the folder's base class with a default for its ``name``; a subclass
without one is a base that several members share. All must be importable without torch (the page lists the members and
their knobs), so they import torch inside the functions that compute.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from importlib import import_module
from types import ModuleType
from typing import Any, Generic, TypeVar

from dropviz import extensions
from dropviz.choices import Choices, SpecError, shown, unknown_name

Anything = TypeVar("Anything")
Member = TypeVar("Member", bound=Choices)
Fault = Callable[[Anything, Sequence[Anything]], str]


@cache
def own_modules(package: str) -> tuple[ModuleType, ...]:
    """The modules of a package of this program, imported, in alphabetical order."""
    names = [info.name for info in pkgutil.iter_modules(import_module(package).__path__)]
    return tuple(import_module(f"{package}.{name}") for name in names)


def modules_of(package: str) -> tuple[ModuleType, ...]:
    """The same, and after them those of extensions, which may hold members of any kind."""
    return (*own_modules(package), *extensions.modules())


def classes_of(package: str, base: type[Anything]) -> list[type[Anything]]:
    """The subclasses of ``base`` that the modules of a package, or extensions, define."""
    return [
        value
        for module in modules_of(package)
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and value is not base
        and value.__module__ == module.__name__
    ]


def accepted(
    kind: str, found: Iterable[Anything], module: Callable[[Anything], str], fault: Fault[Anything]
) -> list[Anything]:
    """Those that can be used; of the others their extension is told why. This program's own are not looked at.

    Args:
        kind: What they are, in a word or two.
        found: This program's own first.
        module: The name of the module that defines one.
        fault: What is wrong with one beside those that were accepted before it; empty where nothing is.
    """
    kept: list[Anything] = []
    for one in found:
        extension = extensions.extension_of(module(one))
        if extension is None:
            kept.append(one)
            continue
        try:
            reason = fault(one, kept)
        except Exception as error:  # of somebody else's code anything can come
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        if reason:
            extension.refuse(f"has a {kind} that cannot be used: {reason.rstrip('.')}")
        else:
            kept.append(one)
    return kept


class Registry(Generic[Member]):
    """The members of one folder, by name."""

    def __init__(self, package: str, base: type[Member], kind: str) -> None:
        self.package, self.base, self.kind = package, base, kind

    @cached_property
    def members(self) -> dict[str, type[Member]]:
        """Name → class, in alphabetical order of the names."""
        named = [one for one in classes_of(self.package, self.base) if _name(one)]
        kept = accepted(self.kind, named, lambda one: one.__module__, self._fault)
        return dict(sorted((_name(one), one) for one in kept))

    def _fault(self, one: type[Member], before: Sequence[type[Member]]) -> str:
        """A name that is taken, something that the base class asks for and is not there, or knobs without defaults."""
        if _name(one) in map(_name, before):
            return f"there is a {self.kind} named {_name(one)!r} already, so give it another name"
        asked = [name for cls in self.base.__mro__ for name in vars(cls).get("__annotations__", ())]
        missing = [name for name in asked if name not in one.model_fields and not hasattr(one, name)]
        missing = [name for name in missing if not name.startswith("_")] + sorted(one.__abstractmethods__)
        if missing:
            return f"{one.__name__} lacks {', '.join(dict.fromkeys(missing))}"
        getattr(one.from_table({}), "task", None)  # which menus ask every data set for
        return ""

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


def _name(one: type[Choices]) -> str:
    """The name of a member; empty of a base that several share."""
    field = one.model_fields["name"]
    return "" if field.is_required() else field.default
