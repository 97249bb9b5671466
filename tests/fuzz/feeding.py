"""Feeding one subject with inputs that hypothesis makes, the same ones for the same number."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.subjects import Subject, tried
from tests.fuzz.watched import watched


def feed(
    subject: Subject, count: int, folder: Path, number: int = 0, answers: Counter[str] | None = None
) -> None:
    """Try so many inputs, and count the answers; raises at the first that finds something, made as small as it can be."""
    counted = Counter[str]() if answers is None else answers

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(subject.inputs)
    def each(value: object) -> None:
        with watched(folder):
            counted["refused" if tried(subject, value) else "taken"] += 1

    each()
