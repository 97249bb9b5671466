"""What a preset costs: processor seconds of all its arms together, as a person would run it, statistics included.

The language presets take minutes to hours and have a page of their own, ``RESULTS.md``.
"""

from __future__ import annotations

import time

from benchmarks.measure import Row, Summary
from dropviz.experiment import preset
from dropviz.training import Block

PRESETS = ("noisy-digits", "classroom")
CLASSROOM_SECONDS = 5.0


def measure(*, quick: bool) -> list[Row]:
    """Train every arm of each of these presets in this process, on one thread."""
    rounds = 1 if quick else 3
    names = ["classroom"] if quick else PRESETS
    return [_row(name, [_seconds(name) for _ in range(rounds)]) for name in names]


def _seconds(name: str) -> float:
    spec = preset(name)
    started = time.process_time()
    for arm in spec.arms:
        block = Block(spec, arm, spec.seed_list())
        while not block.finished:
            block.advance()
    return time.process_time() - started


def _row(name: str, seconds: list[float]) -> Row:
    spec, summary = preset(name), Summary.of(seconds)
    held_to = name == "classroom"
    return Row(
        name=f"{name}: {len(spec.arms)} arms × {spec.seeds} seeds × {spec.train.steps:,} steps",
        value=summary,
        unit="CPU-s",
        target=f"≤ {CLASSROOM_SECONDS:g}" if held_to else "",
        met=summary.median <= CLASSROOM_SECONDS if held_to else None,
    )
