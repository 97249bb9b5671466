"""An arm that goes on as another one from a step on: how a run is forked in the middle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dropviz.choices import SpecError, shown
from dropviz.strategies.strategy import Strategy, strategy
from dropviz.task import Task

if TYPE_CHECKING:
    from dropviz.masks import RandomNumbers
    from dropviz.regularizers import LossTerms, Network, Surrogate

MOST_SWITCHES = 8
MOST_DIGITS = 7  # of a step; no run is longer


@dataclass(frozen=True, kw_only=True)
class Switched(Strategy):
    """``first`` in the steps below ``step``, ``then`` from there on; ``then`` may switch again.

    ``dropout@500:explicit+implicit`` is dropout in steps 0 to 499. Minibatches, masks and noise are addressed by step and the
    optimizer keeps its memory, so up to the switch its weights are bit for bit those of ``first`` alone.
    """

    pattern: ClassVar[str] = r"(?P<first>[^@:]+)@(?P<step>\d+):(?P<then>.+)"
    examples: ClassVar[tuple[str, ...]] = ()  # made of others, and by "Fork from here"
    place: ClassVar[int] = 90

    first: Strategy
    step: int
    then: Strategy

    @classmethod
    def from_match(cls, match: re.Match[str]) -> Switched:
        """Read both arms and the step between them."""
        name, digits = match[0], match["step"]
        if name.count("@") > MOST_SWITCHES:
            raise SpecError(f"{shown(name)} switches more than {MOST_SWITCHES} times: leave some out.")
        step = int(digits) if len(digits) <= MOST_DIGITS else 0
        if step < 1:
            raise SpecError(
                f"{shown(name)} switches at step {shown(digits)}: choose one from 1 to one below train.steps."
            )
        first, then = strategy(match["first"]), strategy(match["then"])
        if then.switches and then.switches[0] <= step:
            raise SpecError(
                f"{shown(name)} switches at step {step} and then at {then.switches[0]}: write the steps in rising order."
            )
        if first == then.at(0):
            raise SpecError(
                f"{shown(name)} goes on as {first.name}, so nothing changes: name another arm after step {step}."
            )
        return cls(first=first, step=step, then=then)

    @property
    def name(self) -> str:
        """``dropout@500:explicit+implicit``."""
        return f"{self.first.name}@{self.step}:{self.then.name}"

    @property
    def label(self) -> str:
        """``dropout until 500, then explicit+implicit``."""
        return f"{self.first.label} until {self.step:,}, then {self.then.label}"

    @property
    def switches(self) -> tuple[int, ...]:
        """The steps in rising order."""
        return (self.step, *self.then.switches)

    def at(self, step: int) -> Strategy:
        """``first`` below the switch."""
        return self.first if step < self.step else self.then.at(step)

    @property
    def replicas(self) -> int:
        """The most that any of its steps needs."""
        return max(self.first.replicas, self.then.replicas)

    @property
    def choices(self) -> tuple[str, ...]:
        """Those of both."""
        return tuple(dict.fromkeys((*self.first.choices, *self.then.choices)))

    @property
    def penalized(self) -> bool:
        """Where either is; in the steps of one that is not, the penalty is 0."""
        return self.first.penalized or self.then.penalized

    @property
    def second_order(self) -> bool:
        """Where either is."""
        return self.first.second_order or self.then.second_order

    def unfit(self, task: Task) -> str:
        """What either says."""
        return self.first.unfit(task) or self.then.unfit(task)

    def objective(self, network: Network, draws: RandomNumbers, surrogate: Surrogate) -> LossTerms:
        """That of its first steps; ask ``at(step)`` for any other."""
        return self.first.objective(network, draws, surrogate)

    def noise_factor(self) -> float:
        """That of its first steps; ask ``at(step)`` for any other."""
        return self.first.noise_factor()


def forked(arm: str, step: int, then: str) -> str:
    """The name of the arm that is ``arm`` up to a step, with the switches that it has until then, and ``then`` from there on.

    Raises:
        SpecError: One of them is not an arm, or nothing would change.
    """
    name, end = then, step
    for part, count in reversed(strategy(arm).stretches(step)):
        name, end = f"{part.name}@{end}:{name}", end - count
    return strategy(name).name
