"""Quantities of a lesson: sums of an arm's metrics, or the ratio of two such sums, as a person writes them.

``dropout test/accuracy - none test/accuracy`` is one number a seed. A term is an arm and a metric, if need be with a factor
before (``0.5 * dropout term/explicit``) and a step behind (``none term/explicit @ 0``); without a step it is the last value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from dropviz.analysis import Interval, mean_interval, ratio_interval
from dropviz.choices import SpecError, shown

TERM = re.compile(
    r"(?:(?P<factor>\d+(?:\.\d+)?) \* )?(?P<arm>\S+) (?P<metric>[\w.-]+(?:/[\w.-]+)+)(?: @ (?P<step>\d+))?"
)

Values = Mapping[tuple[str, str], Mapping[int, Mapping[int, float]]]  # (arm, metric) → step → seed → value


@dataclass(frozen=True, kw_only=True)
class Term:
    """A metric of an arm, times a factor; at a step, or at its last one."""

    factor: float
    arm: str
    metric: str
    step: int | None

    def steps(self, values: Values) -> list[int]:
        """The steps that it was measured at."""
        return sorted(values.get((self.arm, self.metric), {}))

    def at(self, values: Values, step: int | None) -> dict[int, float]:
        """Seed → value, at its own step, else at this one, else at the last.

        Raises:
            LookupError: It was not measured there.
        """
        found = values.get((self.arm, self.metric), {})
        chosen = self.step if self.step is not None else step
        chosen = max(found, default=None) if chosen is None else chosen
        if chosen is None or chosen not in found:
            where = "" if chosen is None else f" at step {chosen:,}"
            raise LookupError(f"{self.arm} has no {self.metric}{where} in this run.")
        return {seed: self.factor * value for seed, value in found[chosen].items()}


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """``of``, or ``of`` over ``over``: a number with an interval over paired seeds."""

    of: tuple[Term, ...]
    over: tuple[Term, ...] = ()

    @classmethod
    def read(cls, of: str, over: str = "") -> Self:
        """From its text.

        Raises:
            SpecError: It is no such sum.
        """
        return cls(of=_sum(of), over=_sum(over) if over else ())

    @property
    def terms(self) -> tuple[Term, ...]:
        """All of them."""
        return self.of + self.over

    def steps(self, values: Values) -> list[int]:
        """The steps at which all of it was measured, in order."""
        free = [set(term.steps(values)) for term in self.terms if term.step is None]
        return sorted(set.intersection(*free)) if free else []

    def interval(self, values: Values, step: int | None = None) -> Interval:
        """The mean over seeds with its t interval; of a ratio that of the means, with Fieller's.

        Raises:
            LookupError: Something was not measured, or no seed has all of it.
        """
        columns = self.columns(values, step)
        if len(columns) == 1:
            return mean_interval(columns[0])
        try:
            return ratio_interval(columns[0], columns[1])
        except ZeroDivisionError:
            return Interval(estimate=float("nan"))

    def by_seed(self, values: Values) -> dict[int, float]:
        """Seed → value; of a ratio, each seed's own.

        Raises:
            LookupError: Something was not measured.
        """
        seeds = self._seeds(values, None)
        columns = self.columns(values, None)
        column = columns[0] if len(columns) == 1 else columns[0] / columns[1]
        return dict(zip(seeds, map(float, column), strict=True))

    def columns(self, values: Values, step: int | None) -> list[np.ndarray]:
        """The sums over the seeds that all terms have: (seeds,) of ``of`` and, for a ratio, of ``over``."""
        seeds = self._seeds(values, step)
        sums = [self.of, self.over] if self.over else [self.of]
        found = [[term.at(values, step) for term in terms] for terms in sums]
        return [np.array([sum(one[seed] for one in terms) for seed in seeds]) for terms in found]

    def _seeds(self, values: Values, step: int | None) -> list[int]:
        seeds = sorted(set.intersection(*(set(term.at(values, step)) for term in self.terms)))
        if not seeds:
            raise LookupError("No seed has all that is compared.")
        return seeds


def _sum(text: str) -> tuple[Term, ...]:
    parts: Sequence[str] = re.split(r" ([+-]) ", text.strip())
    signs = ["+", *parts[1::2]]
    return tuple(_term(part, sign) for part, sign in zip(parts[::2], signs, strict=True))


def _term(text: str, sign: str) -> Term:
    match = TERM.fullmatch(text.strip())
    if match is None:
        raise SpecError(
            f"{shown(text)} is not a quantity: write an arm and a metric, such as 'dropout test/accuracy', with ' + ' or ' - '"
            " between two of them."
        )
    factor = float(match["factor"] or 1) * (-1 if sign == "-" else 1)
    step = int(match["step"]) if match["step"] else None
    return Term(factor=factor, arm=match["arm"], metric=match["metric"], step=step)
