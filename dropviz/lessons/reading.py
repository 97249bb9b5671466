"""Lessons from files: ``NN-name.md`` with a TOML head between ``+++`` lines, then Markdown in sections.

Those that come with the program lie in ``content/``; the folder that ``DROPVIZ_LESSONS`` names adds to them, and replaces
those of the same name. A file that cannot be read stands for itself alone: its one sentence is shown in its place.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dropviz import settings
from dropviz.choices import SpecError
from dropviz.lessons.lesson import Lesson

CONTENT = Path(__file__).with_name("content")
FILE = re.compile(r"(\d{2})-([a-z0-9-]{1,40})\.md")
FENCE = "+++"
HEADING = re.compile(r"^# +(.+?) *$", re.MULTILINE)
LARGEST = 200_000  # bytes of a file


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of a lesson: its place, its name, and the lesson or what is wrong with it."""

    number: str
    name: str
    path: Path
    lesson: Lesson | None
    problem: str = ""

    @property
    def title(self) -> str:
        """Of the lesson; of a file that cannot be read its name."""
        return self.lesson.title if self.lesson else self.path.name


def entries() -> list[Entry]:
    """All lessons in their order, with one's own in place of those of the same name.

    Raises:
        ValueError: ``DROPVIZ_LESSONS`` names no folder.
    """
    found: dict[str, Entry] = {}
    own = settings.lessons_dir()
    for folder in (CONTENT, *([own] if own else [])):
        for path in sorted(folder.glob("*.md")):
            if match := FILE.fullmatch(path.name):
                status = path.stat()
                found[match[2]] = _entry(path, status.st_mtime_ns, status.st_size)
    return sorted(found.values(), key=lambda entry: (entry.number, entry.name))


def entry(name: str) -> Entry:
    """The lesson of this name.

    Raises:
        SpecError: There is none.
    """
    known = entries()
    for one in known:
        if one.name == name:
            return one
    raise SpecError(
        f"There is no lesson {name[:40]!r}: choose one of {', '.join(one.name for one in known)}."
    )


@lru_cache(maxsize=128)
def _entry(path: Path, changed: int, size: int) -> Entry:
    """By path and when it changed, so that an edit shows at the next look."""
    match = FILE.fullmatch(path.name)
    assert match is not None
    try:
        lesson, problem = read_lesson(path), ""
    except SpecError as error:
        lesson, problem = None, str(error)
    return Entry(number=match[1], name=match[2], path=path, lesson=lesson, problem=problem)


def read_lesson(path: Path) -> Lesson:
    """The lesson in a file.

    Raises:
        SpecError: Names the file, what is wrong in it, and how to mend it.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name} cannot be read ({error}): save it as a text file in UTF-8.") from None
    if len(text) > LARGEST:
        raise SpecError(f"{path.name} is larger than {LARGEST // 1000} kB: shorten it.")
    match = FILE.fullmatch(path.name)
    try:
        return Lesson.from_table(
            {**_head(text), "name": match[2] if match else path.stem, "texts": _sections(text)}
        )
    except SpecError as error:
        raise SpecError(f"{path.name}: {error}") from None


def _head(text: str) -> dict[str, object]:
    lines = text.splitlines()
    if not lines or lines[0].strip() != FENCE or FENCE not in (line.strip() for line in lines[1:]):
        raise SpecError(
            f"line 1 does not open a head: begin the file with a line {FENCE}, TOML, and a line {FENCE}."
        )
    try:
        return tomllib.loads("\n" + "\n".join(lines[1 : _end(lines)]))  # so that lines count as in the file
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SpecError(f"the head is not valid TOML: {error}; mend that line.") from None


def _end(lines: list[str]) -> int:
    return next(index for index, line in enumerate(lines) if index and line.strip() == FENCE)


def _sections(text: str) -> dict[str, str]:
    lines = text.splitlines()
    body = "\n".join(lines[_end(lines) + 1 :])
    parts = HEADING.split(body)
    if parts[0].strip():
        raise SpecError(
            f"text stands before the first section: begin with '# Idea' after the head's {FENCE}."
        )
    return {name: content.strip() for name, content in zip(parts[1::2], parts[2::2], strict=True)}
