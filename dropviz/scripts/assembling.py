"""Scripts are put together by name: from what runs them, every function and setting that is asked for, and nothing else.

A source is Python text: a file of ``parts/``, or text that was made for this very experiment. What a definition needs is read
off its syntax tree, so nothing has to be listed anywhere, and nothing is in a script that it does not use.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

GIVEN = {*dir(builtins), "__file__"}  # names that every script has
PARTS = Path(__file__).parent / "parts"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a script under a title of its own; of two definitions of a name the first one counts."""

    title: str
    sources: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A function or a setting: its text, and the names in it that it does not define itself."""

    name: str
    text: str
    asks: frozenset[str]


@cache
def part(name: str) -> str:
    """The text of a file of ``parts/``, such as ``data/digits``."""
    return (PARTS / f"{name}.py").read_text(encoding="utf-8")


def assemble(header: str, sections: Sequence[Section], root: str) -> str:
    """The script that runs ``root``.

    Raises:
        LookupError: A name is asked for that no source defines: a mistake in a part.
    """
    known: dict[str, Definition] = {}
    imports: dict[str, ast.Import | ast.ImportFrom] = {}
    for source in (source for section in sections for source in section.sources):
        definitions, found = _read(source)
        known = {one.name: one for one in definitions} | known
        imports |= found
    needed, imported = _closure(root, known, imports)
    blocks = list[str]()
    for section in sections:
        own = [one for source in section.sources for one in _read(source)[0]]
        texts = [one.text for one in own if one.name in needed and known[one.name] is one]
        if texts:
            gap = "\n\n\n" if texts[0].startswith("def ") else "\n"
            blocks.append(f"# {section.title}{gap}{_spaced(texts)}")
    head = f"{header}\n\n{_imports(imports[name] for name in sorted(imported))}\n\n"
    return head + "\n\n\n".join([*blocks, f'if __name__ == "__main__":\n    {root}()\n'])


def _closure(
    root: str, known: dict[str, Definition], imports: dict[str, ast.Import | ast.ImportFrom]
) -> tuple[set[str], set[str]]:
    """The definitions and the imports that a root comes down to."""
    needed, imported, waiting = set[str](), set[str](), [root]
    while waiting:
        name = waiting.pop()
        if name in needed or name in imported or name in GIVEN:
            continue
        if name in known:
            needed.add(name)
            waiting += known[name].asks
        elif name in imports:
            imported.add(name)
        else:
            raise LookupError(f"{name} is used in a script and defined in none of its parts.")
    return needed, imported


@cache
def _read(source: str) -> tuple[tuple[Definition, ...], dict[str, ast.Import | ast.ImportFrom]]:
    lines, definitions = source.splitlines(), list[Definition]()
    imports: dict[str, ast.Import | ast.ImportFrom] = {}
    for node in ast.parse(source).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports |= dict(_imported(node))
        elif isinstance(node, (ast.FunctionDef, ast.Assign)):
            target = node.name if isinstance(node, ast.FunctionDef) else ast.unparse(node.targets[0])
            text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            definitions.append(Definition(name=target, text=text, asks=_free(node)))
    return tuple(definitions), imports


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, ast.Import | ast.ImportFrom]]:
    """Each name that a statement brings, with a statement that brings it alone."""
    for alias in node.names:
        alone: ast.Import | ast.ImportFrom
        if isinstance(node, ast.ImportFrom):
            alone = ast.ImportFrom(module=node.module, names=[alias], level=0)
        else:
            alone = ast.Import(names=[alias])
        yield alias.asname or alias.name, alone


def _free(node: ast.FunctionDef | ast.Assign) -> frozenset[str]:
    names = [one for one in ast.walk(node) if isinstance(one, ast.Name)]
    own = {one.id for one in names if isinstance(one.ctx, ast.Store)}
    own |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
    defaults = node.args.defaults if isinstance(node, ast.FunctionDef) else []
    outer = {one.id for default in defaults for one in ast.walk(default) if isinstance(one, ast.Name)}
    return frozenset({one.id for one in names} - own | outer)


def _imports(nodes: Iterable[ast.Import | ast.ImportFrom]) -> str:
    """In the usual order: the standard library, then the others; ``import`` before ``from``, names of one module together."""
    plain, members = set[str](), dict[str, set[str]]()
    for node in nodes:
        names = {ast.unparse(alias) for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            members.setdefault(str(node.module), set()).update(names)
        else:
            plain |= names
    statements = [(name, f"import {name}") for name in sorted(plain)]
    statements += [
        (module, f"from {module} import {', '.join(sorted(members[module]))}") for module in sorted(members)
    ]
    groups: tuple[list[str], list[str]] = ([], [])
    for module, statement in statements:
        groups[module.split(".")[0].split(" ")[0] not in sys.stdlib_module_names].append(statement)
    return "\n\n".join("\n".join(group) for group in groups if group)


def _spaced(texts: Sequence[str]) -> str:
    """Functions with two empty lines between them, settings without one."""
    gaps = ["\n\n\n" if "def " in (before[:4], text[:4]) else "\n" for before, text in pairwise(texts)]
    return texts[0] + "".join(gap + text for gap, text in zip(gaps, texts[1:], strict=True))
