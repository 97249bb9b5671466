"""Arms of several runs against one of them: paired differences where seeds pair, and at equal cost.

An arm of a run is a contender. No store and no sentences but the reasons why something cannot be compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dropviz.analysis import Interval, mean_interval, pairing, welch_interval
from dropviz.analysis.curves import Curve, at_step
from dropviz.experiment import ExperimentSpec


@dataclass(frozen=True, kw_only=True)
class Contender:
    """An arm of a run: the run's number among those that are compared, its spec, and seed → score."""

    run: int
    arm: str
    spec: ExperimentSpec
    scores: Mapping[int, float]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A contender's score minus the reference's.

    Attributes:
        change: With its 95 % interval; None where there is nothing to subtract.
        paired: Whether it is the mean of differences within pairs; else of two means, with Welch's interval.
        n: How many pairs; of what does not pair, the seeds of the reference and of the contender.
        why: What keeps the two from pairing, or from being compared at all; empty where they pair.
    """

    change: Interval | None
    paired: bool
    n: tuple[int, ...]
    why: str = ""


def difference(reference: Contender, other: Contender) -> Difference:
    """Paired over the seeds that both have, where the runs pair and have any in common; else unpaired, and why."""
    if reason := incomparable(reference.spec, other.spec):
        return Difference(change=None, paired=False, n=(), why=reason)
    counts = (len(reference.scores), len(other.scores))
    if not all(counts):
        return Difference(change=None, paired=False, n=counts, why="no score yet")
    found = pairing.breaks(reference.spec, other.spec)
    common = sorted(reference.scores.keys() & other.scores.keys())
    if found or not common:
        change = welch_interval(list(reference.scores.values()), list(other.scores.values()))
        why = pairing.sentence(found) if found else "they have no seed in common"
        return Difference(change=change, paired=False, n=counts, why=why)
    pairs = [other.scores[seed] - reference.scores[seed] for seed in common]
    return Difference(change=mean_interval(pairs), paired=True, n=(len(common),))


def incomparable(one: ExperimentSpec, other: ExperimentSpec) -> str:
    """Empty where scores of two specs are numbers of one kind; else why they are not."""
    tasks = one.data.task, other.data.task
    if tasks[0].score != tasks[1].score or tasks[0].kind != tasks[1].kind:
        return f"{_scored(one)} and {_scored(other)}"
    words = [spec.data.tokens_described() for spec in (one, other) if spec.data.task.kind == "language"]
    if len(set(words)) > 1:
        return f"one text is cut into {words[0]}, the other into {words[1]}, and losses over other vocabularies do not compare"
    return ""


def _scored(spec: ExperimentSpec) -> str:
    return f"{spec.data.name} is scored by {spec.data.task.score} ({spec.data.task.kind})"


@dataclass(frozen=True, kw_only=True)
class Priced:
    """A contender's curve of a score, with a point or more, and what one of its steps costs."""

    contender: Contender
    curve: Curve
    a_step: float

    @property
    def total(self) -> float:
        """What the whole of it costs a seed."""
        return self.a_step * self.steps

    @property
    def steps(self) -> int:
        """Its last step."""
        return int(self.curve.steps[-1])

    def steps_for(self, budget: float) -> float:
        """How many steps so much buys, at most all of them."""
        return min(budget / self.a_step, self.steps)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A contender with the scores that its seeds had after ``steps`` steps, and the difference to the reference there."""

    contender: Contender
    steps: float
    of: int
    change: Difference


def at_cost(priced: Priced, budget: float) -> Contender:
    """The contender with the scores that its seeds had when so much was spent, on the line between two evaluations."""
    found = at_step(priced.curve, priced.steps_for(budget))
    return replace(
        priced.contender, scores={seed: value for seed, value in found.items() if math.isfinite(value)}
    )


def at_equal_cost(priced: Sequence[Priced], reference: int = 0) -> tuple[float, list[Reached]]:
    """All of them where each had spent what the cheapest spent in all: that budget, and the differences to one of them."""
    budget = min(one.total for one in priced)
    contenders = [at_cost(one, budget) for one in priced]
    return budget, [
        Reached(
            contender=contender,
            steps=one.steps_for(budget),
            of=one.steps,
            change=difference(contenders[reference], contender),
        )
        for one, contender in zip(priced, contenders, strict=True)
    ]


def mean_score(contender: Contender) -> Interval | None:
    """The mean over seeds with its interval; None without a score."""
    values = np.array(list(contender.scores.values()))
    return mean_interval(values) if len(values) else None
