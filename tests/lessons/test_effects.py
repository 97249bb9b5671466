"""Lessons' presets are run and have the effect that they teach: the quick ones always, the others among the slow tests."""

from __future__ import annotations

import pytest

from dropviz.budget import seeds_together
from dropviz.lessons import Lesson, Measured, entries, entry
from dropviz.lessons.features import prices_of
from dropviz.lessons.outcome import judgements, verdict
from dropviz.training import Block, Record

QUICK = {"boundary": 24, "masks": 32, "units": 12, "own-data": 12}
SLOW = {"penalty": 24, "noise": 32, "formulas": 48, "breaks": 16, "flatness": 16, "language": 8}


def run(lesson: Lesson, seeds: int) -> Measured:
    """All arms over so many seeds, in this process."""
    spec, values = lesson.spec.with_settings([f"seeds={seeds}"]), {}
    for arm in spec.arms:
        most = seeds_together(spec, arm)
        for first in range(0, seeds, most):
            together = range(first, min(seeds, first + most))
            block = Block(spec, arm, together)
            while not block.finished:
                for record in block.advance():
                    if isinstance(record, Record) and (arm, record.name) in lesson.terms():
                        by_step = values.setdefault((arm, record.name), {}).setdefault(record.step, {})
                        by_step.update(zip(together, map(float, record.values), strict=True))
            if lesson.features:
                _features(values, block, arm)
    return Measured(values=values, seeds=seeds)


def _features(values: dict, block: Block, arm: str) -> None:
    weights = {name: value.detach().numpy() for name, value in block.stacked.parameters.items()}
    for position, seed in enumerate(block.stacked.seeds):
        found = prices_of(block.spec, seed, {name: value[position] for name, value in weights.items()})
        for name, price in found.items():
            by_step = values.setdefault((arm, f"features/{name}"), {})
            by_step.setdefault(block.spec.train.steps, {})[seed] = price


def holds(name: str, seeds: int) -> None:
    lesson = entry(name).lesson
    assert lesson is not None
    found = judgements(lesson, run(lesson, seeds), lesson.spec)
    assert verdict(found) == "green", [one.sentence for one in found]


def test_every_lesson_is_tried() -> None:
    assert {one.name for one in entries()} == QUICK.keys() | SLOW.keys()


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_lesson_has_its_effect(name: str) -> None:
    holds(name, QUICK[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_a_lesson_has_its_effect(name: str) -> None:
    holds(name, SLOW[name])
