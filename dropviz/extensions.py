"""Parts from outside of this program: Python files and installed packages that the server's settings name.

``DROPVIZ_EXTENSIONS`` names files and folders, packages announce themselves by an entry point of the group
``dropviz.extensions``. Their modules are looked at beside those of this program's own folders (see ``registry``). One that
cannot be used is left out, with a sentence that says why; nothing here imports torch, and no module may when it is loaded.
"""

from __future__ import annotations

import ast
import hashlib
import pkgutil
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module, invalidate_caches, metadata
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

from dropviz import settings

GROUP = "dropviz.extensions"
PACKAGE = "dropviz_extensions"  # under which files are imported: a package below it for each folder
TORCH = (
    "loads torch as soon as it is imported: import torch inside the functions that compute, as the page lists what there is"
    " without it"
)


@dataclass(kw_only=True)
class Extension:
    """One module from outside.

    Attributes:
        origin: The file, or the package and its version.
        mend: What to do where it cannot be used.
        module: None where it cannot be loaded.
        files: Its source, and what that imports of its neighbours.
        digest: SHA-256 of these as they were when it was loaded.
        problems: What is wrong with it, a sentence each.
    """

    origin: str
    mend: str
    module: ModuleType | None = None
    files: frozenset[Path] = frozenset()
    digest: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether its files are no longer what was loaded."""
        try:
            return self.module is not None and _digest(self.files) != self.digest
        except OSError:
            return True

    def refuse(self, what: str) -> None:
        """Note what is wrong with it, once."""
        sentence = f"{self.origin} {what}. {self.mend}"
        if sentence not in self.problems:
            self.problems.append(sentence)


class TorchAsked(ImportError):
    """A module asked for torch while it was loaded."""


_loading = False  # by the thread that has the lock
_lock = threading.RLock()
_found: list[Extension] | None = None


def extensions() -> Sequence[Extension]:
    """Everything that the settings name, loaded at the first call: files and folders first, then packages.

    Raises:
        RuntimeError: A module asks for what there is while it is being loaded.
    """
    global _found, _loading
    with _lock:
        if _loading:
            raise RuntimeError(
                "it asks for data sets, models or arms while it is loaded: do that in a function"
            )
        if _found is None:
            _loading = True
            try:
                with _without_torch():
                    _found = [*_from_paths(settings.extension_paths()), *_from_packages()]
            finally:
                _loading = False
        return _found


def modules() -> list[ModuleType]:
    """The modules that could be loaded."""
    return [one.module for one in extensions() if one.module is not None]


def extension_of(module: str) -> Extension | None:
    """The extension that a module of this name is, if it is one."""
    return next((one for one in extensions() if one.module and one.module.__name__ == module), None)


def digests(names: Iterable[str]) -> list[str]:
    """The digests of those of these modules that are extensions."""
    found = {one.digest for one in map(extension_of, set(names)) if one is not None}
    return sorted(found)


def _from_paths(paths: Sequence[Path]) -> Iterator[Extension]:
    invalidate_caches()
    taken: set[str] = set()
    for path in paths:
        extension = Extension(origin=str(path), mend="Mend it, or take it out of DROPVIZ_EXTENSIONS.")
        if not path.exists():
            extension.refuse("is not there, although DROPVIZ_EXTENSIONS names it")
            yield extension
        elif path.is_file() and path.suffix != ".py":
            extension.refuse("is neither a folder nor a Python file")
            yield extension
        else:
            folder = path if path.is_dir() else path.parent
            package = _package(folder, path.stem, taken)
            files = [path] if path.is_file() else sorted(path.glob("[!_]*.py"))
            for file in files:
                yield _loaded(
                    Extension(origin=str(file), mend=extension.mend), f"{package}.{file.stem}", file
                )


def _package(folder: Path, stem: str, taken: set[str]) -> str:
    """A package of this folder's files, so that they can import each other: ``from ._shared import …``."""
    name = f"{PACKAGE}.{re.sub(r'[^0-9A-Za-z_]', '_', stem)}"
    while name in taken:
        name += "_"
    taken.add(name)
    for one, path in ((PACKAGE, []), (name, [str(folder)])):
        module = sys.modules.setdefault(one, ModuleType(one))
        module.__path__ = path
    return name


def _from_packages() -> Iterator[Extension]:
    entries = {entry.value: entry for entry in metadata.entry_points(group=GROUP)}
    for value, entry in sorted(entries.items()):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else value
        mend = "Mend or uninstall that package."
        first = _loaded(Extension(origin=f"{package} ({entry.module})", mend=mend), entry.module, None)
        yield first
        for info in pkgutil.iter_modules(getattr(first.module, "__path__", ())):
            if not info.name.startswith("_"):
                name = f"{entry.module}.{info.name}"
                yield _loaded(Extension(origin=f"{package} ({name})", mend=mend), name, None)


def _loaded(extension: Extension, name: str, file: Path | None) -> Extension:
    try:
        module = import_module(name)
        extension.files = frozenset(_neighbours(file) if file else _whole_package(module))
        extension.digest = _digest(extension.files)
        extension.module = module
    except TorchAsked:
        extension.refuse(TORCH)
    except (Exception, SystemExit) as error:  # whatever it was, the rest goes on
        extension.refuse(_what(error, file))
    return extension


def _what(error: BaseException, file: Path | None) -> str:
    """What went wrong and where, without a traceback."""
    if isinstance(error, SyntaxError):
        return f"cannot be loaded: line {error.lineno}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    where = f"line {frames[-1].lineno}: " if frames else ""
    text = " ".join(str(error).split()).rstrip(".")
    return f"cannot be loaded: {where}{type(error).__name__}{': ' if text else ''}{text[:200]}"


def _neighbours(file: Path) -> set[Path]:
    """The file and those that it imports with a leading dot, at once or when a function runs."""
    found, left = set[Path](), [file]
    while left:
        path = left.pop()
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                for place in (base, *(base / one.name for one in node.names)):
                    left += [
                        one for one in (place.with_suffix(".py"), place / "__init__.py") if one.is_file()
                    ]
    return found


def _whole_package(module: ModuleType) -> set[Path]:
    """All source of the package that is installed."""
    top = sys.modules[module.__name__.partition(".")[0]]
    folders = [Path(folder) for folder in getattr(top, "__path__", ())]
    return {file for folder in folders for file in folder.rglob("*.py")} or {Path(str(module.__file__))}


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted((file.name, file.read_bytes()) for file in files):
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


class _Refuser(MetaPathFinder):
    """Keeps torch from being imported."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Nothing but torch is minded."""
        if name == "torch":
            raise TorchAsked(TORCH)


@contextmanager
def _without_torch() -> Iterator[None]:
    """A process that has no torch yet, such as the page's, does not get it here."""
    if "torch" in sys.modules:
        yield
        return
    refuser = _Refuser()
    sys.meta_path.insert(0, refuser)
    try:
        yield
    finally:
        sys.meta_path.remove(refuser)
