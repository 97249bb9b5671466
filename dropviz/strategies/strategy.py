"""What an arm is, and how its name is read."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from dropviz.choices import SpecError, shown
from dropviz.registry import accepted, classes_of
from dropviz.task import Task

if TYPE_CHECKING:
    from dropviz.masks import RandomNumbers
    from dropviz.regularizers import LossTerms, Network, Surrogate


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """One arm: what a training step differentiates.

    ``pattern`` matches the names of the family, and its groups are the fields of the dataclass as text.
    """

    pattern: ClassVar[str]
    examples: ClassVar[tuple[str, ...]]
    place: ClassVar[int] = 100  # among the families, in menus and messages

    @classmethod
    @abstractmethod
    def from_match(cls, match: re.Match[str]) -> Strategy:
        """Build the arm from its matched name; raise ``SpecError`` where a part is out of range."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The canonical name: the one spelling that caches, files and charts use."""

    @property
    def label(self) -> str:
        """The name as a person reads it."""
        return self.name

    @property
    def switches(self) -> tuple[int, ...]:
        """The steps from which on it is another arm, in rising order."""
        return ()

    def at(self, step: int) -> Strategy:
        """The arm that this step follows."""
        return self

    def stretches(self, steps: int) -> list[tuple[Strategy, int]]:
        """The arms that so many steps follow one after the other, each with the number of its steps."""
        ends = [*(switch for switch in self.switches if switch < steps), steps]
        return [(self.at(first), end - first) for first, end in zip([0, *ends], ends, strict=False)]

    @property
    def replicas(self) -> int:
        """Independent mask draws that one step needs."""
        return 0

    @property
    def choices(self) -> tuple[str, ...]:
        """Which of the surrogate's choices (estimator, Hessian, strengths) have a say in this arm."""
        return ()

    @property
    def penalized(self) -> bool:
        """Whether a step adds a penalty to the loss: λR, or another in its place."""
        return False

    @property
    def second_order(self) -> bool:
        """Whether a step differentiates a derivative, which takes about three times a plain one."""
        return False

    def unfit(self, task: Task) -> str:
        """Empty where the arm makes sense for this task; else why it does not, in one sentence."""
        return ""

    @abstractmethod
    def objective(self, network: Network, draws: RandomNumbers, surrogate: Surrogate) -> LossTerms:
        """The terms whose sum a step differentiates, for one minibatch, a value a seed."""

    def noise_factor(self) -> float:
        """Covariance of this arm's mask noise, relative to that of dropout with one mask."""
        return 0.0


@cache
def families() -> tuple[type[Strategy], ...]:
    """Every strategy family: the classes that the modules of this folder, or extensions, define, in order of their places."""
    found = classes_of("dropviz.strategies", Strategy)
    kept = accepted("strategy", found, lambda family: family.__module__, _fault)
    return tuple(sorted(kept, key=lambda family: family.place))


def _fault(family: type[Strategy], before: Sequence[type[Strategy]]) -> str:
    """Parts or examples that are missing, or names that others answer to as well."""
    missing = [name for name in ("pattern", "examples") if not hasattr(family, name)]
    missing += sorted(getattr(family, "__abstractmethods__", ()))
    if missing or not family.examples:
        return f"{family.__name__} lacks {', '.join(missing or ['examples of its names'])}"
    for name in family.examples:
        match = re.fullmatch(family.pattern, name)
        if match is None or family.from_match(match).name != name:
            return f"{family.__name__} does not read the name {name!r}, which is among its examples"
    for other in before:
        taken = [name for name in family.examples if re.fullmatch(other.pattern, name)]
        taken += [name for name in other.examples if re.fullmatch(family.pattern, name)]
        if taken:
            return f"there is an arm named {taken[0]!r} already, so give it another name"
    return ""


def examples() -> list[str]:
    """A few names of every family, for menus and messages."""
    return [name for family in families() for name in family.examples]


def strategy(name: str) -> Strategy:
    """Read an arm's name.

    Raises:
        SpecError: No family has such a name, or a number in it is out of range.
    """
    for family in families():
        match = re.fullmatch(family.pattern, name) if isinstance(name, str) else None
        if match:
            return family.from_match(match)
    raise SpecError(
        f"{shown(name)} is not an arm: write one of {', '.join(examples())} (any k for 8), or dropout@500:explicit to go on as"
        " another one from step 500."
    )


def label(arm: str) -> str:
    """An arm's name as a person reads it, such as ``dropout until 500, then explicit``; of an unknown one, its name."""
    try:
        return strategy(arm).label
    except SpecError:
        return arm
