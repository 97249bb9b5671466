"""What a lesson is: a claim, a prediction to make, an experiment, what to look at in it, and where to go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from dropviz.analysis.claims import Claim, read_claim
from dropviz.analysis.score import Score, score_of
from dropviz.choices import Choices, SpecError, shown, unknown_name
from dropviz.experiment import ExperimentSpec, preset
from dropviz.lessons.quantity import Quantity

Step = Literal["claim", "predict", "run", "reveal"]
STEPS: tuple[Step, ...] = ("claim", "predict", "run", "reveal")
FEWEST_POINTS, MOST_POINTS = 3, 8
SECTIONS = ("Idea", "Explanation", "Next")
PAGES = {"lab": "Lab", "what-if": "What-if", "curvature": "Curvature"}
TAG = re.compile(r"<[a-zA-Z/!?]")


def plain_text(text: str) -> str:
    """The same text, if it holds no markup of web pages."""
    if found := TAG.search(text):
        there = text[found.start() : found.start() + 20]
        raise SpecError(f"{shown(there)} looks like HTML, which lessons do not use: write Markdown.")
    return text


Text = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(plain_text)]


class Measure(Choices):
    """Something that is measured: a quantity, or one over another."""

    of: str
    over: str = ""

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        self.quantity  # noqa: B018 - reads it
        return self

    @cached_property
    def quantity(self) -> Quantity:
        """What it is made of."""
        return Quantity.read(self.of, self.over)


class Amount(Measure):
    """How a number is written: times ``factor``, or as the perplexity of a loss; with so many decimals, in a unit."""

    factor: float = 1.0
    perplexity: bool = False
    digits: int = Field(2, ge=0, le=6)
    unit: str = Field("", max_length=40)


class Line(Measure):
    """A quantity with a name and the look of an arm."""

    label: Text
    arm: str


class Place(Measure):
    """A place of the x axis where something is predicted."""

    label: Text


class Draw(Choices):
    """A curve is predicted: over steps of training, or over a few named places."""

    kind: Literal["draw"] = "draw"
    question: Text
    x: Text
    y: Text
    range: tuple[float, float]
    log: bool = False
    factor: float = 1.0
    perplexity: bool = False
    digits: int = Field(0, ge=0, le=6)
    unit: str = Field("", max_length=40)
    label: Text
    arm: str
    of: str = ""
    over: str = ""
    steps: tuple[int, ...] = ()
    places: tuple[Place, ...] = ()
    given: tuple[Line, ...] = ()

    @model_validator(mode="after")
    def _has_places(self) -> Self:
        count = len(self.steps) + len(self.places)
        if bool(self.steps) == bool(self.places) or bool(self.steps) != bool(self.of):
            raise SpecError("predict needs either of and steps, or places: give one of the two.")
        if not FEWEST_POINTS <= count <= MOST_POINTS:
            raise SpecError(
                f"predict has {count} points to draw: give {FEWEST_POINTS} to {MOST_POINTS} steps or places."
            )
        if list(self.steps) != sorted(set(self.steps)):
            raise SpecError(f"predict.steps = {list(self.steps)} is not possible: let them rise.")
        low, high = self.range
        if low >= high or (self.log and low <= 0):
            above = ", above 0 on a logarithmic scale" if self.log else ""
            raise SpecError(
                f"predict.range = [{low:g}, {high:g}] is not possible: give a low and a high end{above}."
            )
        return self

    @property
    def over_steps(self) -> bool:
        """Whether the x axis is that of training steps."""
        return bool(self.steps)

    @property
    def labels(self) -> list[str]:
        """Of the points, in order."""
        return [f"{step:,}" for step in self.steps] or [place.label for place in self.places]

    def quantities(self) -> list[Quantity]:
        """Of what is drawn: one for all steps, or one a place."""
        return (
            [Quantity.read(self.of, self.over)] if self.steps else [place.quantity for place in self.places]
        )


class Choose(Choices):
    """One of several outcomes is predicted: the number lies below the first bound, between two, or above the last."""

    kind: Literal["choose"] = "choose"
    question: Text
    options: tuple[Text, ...] = Field(min_length=2, max_length=6)
    bounds: tuple[float, ...]
    outcome: Amount

    @model_validator(mode="after")
    def _bounds_split(self) -> Self:
        if len(self.bounds) != len(self.options) - 1 or list(self.bounds) != sorted(set(self.bounds)):
            raise SpecError(
                f"predict.bounds = {list(self.bounds)} does not split {len(self.options)} options: give"
                f" {len(self.options) - 1} rising numbers."
            )
        return self

    def option_of(self, value: float) -> int:
        """Which option this value of the outcome is, in the unit of the bounds."""
        return sum(value >= bound for bound in self.bounds)


class Effect(Choices):
    """What the experiment shall show, judged by the rule of a claim (``dropviz.analysis.claims``)."""

    claim: dict[str, Any]
    metric: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    name: str = ""
    unit: str = ""
    factor: float = 1.0
    digits: int = 2
    less_is_better: bool = False

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        if not self.metric and not self.labels:
            raise SpecError(
                "effects need a metric, such as 'test/accuracy', or labels with a quantity each: give one."
            )
        for label in self.rule.labels:
            self.quantity(label)
        return self

    @cached_property
    def rule(self) -> Claim:
        """The claim itself."""
        return read_claim(self.claim)

    def quantity(self, label: str) -> Quantity:
        """What a label of the claim stands for: what ``labels`` says, else the metric of the arm of this name."""
        if label in self.labels:
            return Quantity.read(self.labels[label])
        if self.metric:
            return Quantity.read(f"{label} {self.metric}")
        raise unknown_name("label of this effect", label, self.labels)

    def score(self, spec: ExperimentSpec) -> tuple[Score, str]:
        """How to speak of it, and the split where that is part of its name."""
        split, _, metric = self.metric.partition("/")
        if metric in ("accuracy", "loss") and not self.name:
            return score_of(spec.data.task, metric), split
        found = Score(
            metric=self.name or self.metric,
            unit=self.unit,
            factor=self.factor,
            digits=self.digits,
            less_is_better=self.less_is_better,
        )
        return found, ""


class Symbol(Choices):
    """A symbol of the equation: what it means, and where this run has it."""

    tex: Text
    meaning: Text
    amount: Amount | None = None
    setting: Literal["", "p", "v"] = ""


class Equation(Choices):
    """In LaTeX, with every symbol explained."""

    tex: Text
    symbols: tuple[Symbol, ...] = Field(min_length=1, max_length=12)


class Curves(Choices):
    """A chart of quantities over training steps, with their bands."""

    title: Text
    y: Text
    log: bool = False
    factor: float = 1.0
    perplexity: bool = False
    lines: tuple[Line, ...] = Field(min_length=1, max_length=8)


class Link(Choices):
    """Where to go on: a page with this lesson's configuration, or with settings changed."""

    page: Literal["lab", "what-if", "curvature"]
    text: Text
    settings: tuple[str, ...] = ()


class Experiment(Choices):
    """What is run: a preset with settings changed, in little for the live run and with many seeds for the record."""

    preset: str
    settings: tuple[str, ...] = ()
    recorded_seeds: int = Field(32, ge=3, le=256)
    own_data: bool = False

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        self.spec  # noqa: B018 - reads it
        return self

    @cached_property
    def spec(self) -> ExperimentSpec:
        """Of the live run."""
        return preset(self.preset).with_settings(self.settings)


class Lesson(Choices):
    """One guided experiment, as its file has it."""

    name: str = Field(pattern=r"[a-z0-9-]{1,40}")
    title: Text
    claim: Text
    minutes: int = Field(ge=1, le=60)
    experiment: Experiment
    effects: tuple[Effect, ...] = Field(min_length=1, max_length=4)
    predict: Draw | Choose = Field(discriminator="kind")
    equation: Equation
    charts: tuple[Curves, ...] = Field((), max_length=3)
    pictures: bool = False
    features: bool = False
    links: tuple[Link, ...] = Field(min_length=1, max_length=4)
    texts: dict[str, str]

    @field_validator("texts")
    @classmethod
    def _complete(cls, texts: dict[str, str]) -> dict[str, str]:
        for name in SECTIONS:
            if not texts.get(name, "").strip():
                raise SpecError(f"The section '# {name}' is missing or empty: add it below the head.")
        for name in texts:
            if name not in SECTIONS:
                raise SpecError(f"'# {name}' is no section of a lesson: use {', '.join(SECTIONS)}.")
        return {name: plain_text(text) for name, text in texts.items()}

    @model_validator(mode="after")
    def _is_measured(self) -> Self:
        arms = self.spec.arms
        for term in self.terms():
            if term[0] not in arms:
                raise unknown_name("known arm of this lesson's experiment", term[0], arms)
        for link in self.links:
            self.spec.with_settings(link.settings)
        if self.pictures and not self.spec.data.planar:
            raise SpecError(
                f"pictures = true needs points in the plane, and {self.spec.data.name} has none: set it to false."
            )
        if self.features and (self.spec.model.name != "linear" or self.spec.data.task.outputs != 2):
            raise SpecError(
                f"features = true needs the model linear and two classes, not {self.spec.title()}: set it to false."
            )
        return self

    @property
    def spec(self) -> ExperimentSpec:
        """Of the live run."""
        return self.experiment.spec

    @property
    def recorded_spec(self) -> ExperimentSpec:
        """Of the record: the same with more seeds."""
        return self.spec.with_settings([f"seeds={self.experiment.recorded_seeds}"])

    def on_file(self, digest: str) -> ExperimentSpec:
        """The live experiment on an uploaded table.

        Raises:
            SpecError: The table cannot be used.
        """
        return self.spec.with_settings(["data.name=csv", f'data.file="{digest}"'])

    def quantities(self) -> Iterator[Quantity]:
        """All that it looks at."""
        for effect in self.effects:
            yield from map(effect.quantity, effect.rule.labels)
        if isinstance(self.predict, Draw):
            yield from self.predict.quantities()
            yield from (line.quantity for line in self.predict.given)
        else:
            yield self.predict.outcome.quantity
        yield from (symbol.amount.quantity for symbol in self.equation.symbols if symbol.amount)
        yield from (line.quantity for chart in self.charts for line in chart.lines)

    def terms(self) -> set[tuple[str, str]]:
        """(arm, metric) of all that it looks at."""
        return {(term.arm, term.metric) for quantity in self.quantities() for term in quantity.terms}
