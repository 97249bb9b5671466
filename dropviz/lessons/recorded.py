"""The results that come with lessons: ``results/<name>.json`` beside the lesson's file, written by ``dropviz lessons --check``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dropviz.analysis.claims import Judgement
from dropviz.experiment import code_version
from dropviz.export import versions
from dropviz.lessons.lesson import Lesson
from dropviz.lessons.measured import Measured
from dropviz.lessons.outcome import judgements, verdict
from dropviz.lessons.reading import Entry


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A recorded result: what was found, what was said of it, and how long it took there.

    Attributes:
        digest: Of the lesson's experiment and of the metrics that it looks at (see ``digest``).
        seconds: That all jobs took together.
    """

    digest: str
    measured: Measured
    judgements: tuple[Judgement, ...]
    seconds: float
    versions: dict[str, Any]

    @property
    def former(self) -> bool:
        """Whether an earlier version of the program computed it."""
        return self.versions.get("code") != code_version()

    def to_table(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "digest": self.digest,
            "verdict": verdict(self.judgements),
            "judgements": [one.to_table() for one in self.judgements],
            "seconds": round(self.seconds, 1),
            "versions": self.versions,
            **self.measured.to_table(),
        }


def digest(lesson: Lesson) -> str:
    """SHA-256 over the recorded experiment and the metrics that the lesson looks at: equal ones have equal values."""
    parts = [lesson.recorded_spec.canonical(), *(f"{arm} {metric}" for arm, metric in sorted(lesson.terms()))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def record(lesson: Lesson, measured: Measured, seconds: float) -> Recorded:
    """A result to be written, judged.

    Raises:
        LookupError: Something that the lesson looks at was not measured.
    """
    measured = Measured.from_table(measured.to_table())  # judged as whoever reads it will judge it
    return Recorded(
        digest=digest(lesson),
        measured=measured,
        judgements=tuple(judgements(lesson, measured, lesson.recorded_spec)),
        seconds=seconds,
        versions=versions(),
    )


def judged_anew(lesson: Lesson, known: Recorded) -> Recorded:
    """The same values under the lesson's effects as they are now."""
    return replace(known, judgements=tuple(judgements(lesson, known.measured, lesson.recorded_spec)))


def result_path(entry: Entry) -> Path:
    """Where the result of a lesson is kept."""
    return entry.path.parent / "results" / f"{entry.name}.json"


def write(entry: Entry, found: Recorded) -> Path:
    """Write it beside the lesson."""
    path = result_path(entry)
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(found.to_table(), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def recorded(entry: Entry) -> Recorded | None:
    """The recorded result of a lesson as it is now; None where there is none, or one of another version of it."""
    path = result_path(entry)
    if entry.lesson is None or not path.is_file():
        return None
    found = _read(path, path.stat().st_mtime_ns)
    return found if found is not None and found.digest == digest(entry.lesson) else None


@lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> Recorded | None:
    try:
        table = json.loads(path.read_text("utf-8"))
        return Recorded(
            digest=table["digest"],
            measured=Measured.from_table(table),
            judgements=tuple(map(Judgement.from_table, table["judgements"])),
            seconds=table["seconds"],
            versions=table["versions"],
        )
    except (ValueError, KeyError, TypeError):  # not a result, or one of another version of this program
        return None
