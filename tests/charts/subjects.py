"""Experiments that charts are drawn of: of every task, with one seed and many, with one arm and all."""

from __future__ import annotations

from dropviz.charts import Chart, Subject, charts
from dropviz.strategies import examples
from dropviz.task import classification, language, regression

ARMS = tuple(examples())
CLASSES, PLANE = classification((64,), classes=10), classification((2,), classes=2)
SUBJECTS = {
    "digits": Subject(arms=ARMS, seeds=8, steps=1500, masks=16, extent=None, data="digits", task=CLASSES),
    "one seed": Subject(
        arms=("none", "dropout"), seeds=1, steps=40, masks=4, extent=None, data="digits", task=CLASSES
    ),
    "plane": Subject(
        arms=ARMS,
        seeds=3,
        steps=99,
        masks=4,
        extent=(-1, 3, -2, 0),
        data="two-moons",
        task=PLANE,
        examples=((0.0, -1.0, 0), (1.0, -1.5, 1), (2.0, -0.5, 0)),
    ),
    "words": Subject(
        arms=ARMS,
        seeds=3,
        steps=99,
        masks=4,
        extent=None,
        data="prose",
        task=language(2000, "word"),
        tokens="2,000 words, lower case",
    ),
    "characters": Subject(
        arms=("none", "dropout"),
        seeds=1,
        steps=9,
        masks=4,
        extent=None,
        data="prose",
        task=language(65, "character"),
        tokens="65 characters",
    ),
    "numbers": Subject(
        arms=("none", "dropout"),
        seeds=4,
        steps=9,
        masks=4,
        extent=None,
        data="diabetes",
        task=regression((10,)),
    ),
    "one arm": Subject(
        arms=("explicit",), seeds=2, steps=1, masks=2, extent=(0, 1, 0, 1), data="two-moons", task=PLANE
    ),
}


def named(name: str) -> Chart:
    (found,) = (chart for chart in charts() if chart.name == name)
    return found
