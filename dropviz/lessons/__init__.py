"""Lessons: guided experiments in plain files that a teacher can edit. No torch, no streamlit."""

from dropviz.lessons.lesson import PAGES, STEPS, Choose, Curves, Draw, Lesson, Link, Step
from dropviz.lessons.measured import Measured
from dropviz.lessons.reading import Entry, entries, entry, read_lesson
from dropviz.lessons.recorded import Recorded, digest, judged_anew, record, recorded, result_path, write

__all__ = [
    "PAGES",
    "STEPS",
    "Choose",
    "Curves",
    "Draw",
    "Entry",
    "Lesson",
    "Link",
    "Measured",
    "Recorded",
    "Step",
    "digest",
    "entries",
    "entry",
    "judged_anew",
    "read_lesson",
    "record",
    "recorded",
    "result_path",
    "write",
]
