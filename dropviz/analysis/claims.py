"""Claims about arms, judged over paired seeds by a stated rule: green, amber or red. No torch, no store, numbers only.

A claim is a few lines of a file, such as ``{kind = "better", a = "dropout", b = "none"}``. ``a`` and ``b`` are labels:
arms, or whatever else has a number for each seed. Whichever way a metric counts, better is positive here: of a loss minus
its value counts. All intervals are those of ``analysis``, 95 %; claims are judged one by one, without a correction for
how many there are.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from dropviz.analysis import FEWEST_SEEDS, Interval, Seeds, mean_interval, ratio_interval
from dropviz.analysis.score import Score
from dropviz.choices import Choices, SpecError, unknown_name

Verdict = Literal["green", "amber", "red"]
Pair = tuple[str, str]  # the first over the second
WORDS: dict[Verdict, str] = {"green": "holds", "amber": "undecided", "red": "does not hold"}
SIGNS: dict[Verdict, str] = {"green": "✔", "amber": "?", "red": "✘"}  # so that it is not colour alone
SHARE = Score(metric="share", unit="%", factor=100, digits=0, less_is_better=False)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the seeds say about a claim.

    Attributes:
        verdict: By the claim's rule.
        interval: Of what the rule looks at, in ``unit``; without bounds below three seeds.
        n: Paired seeds.
        unit: Such as points, nats a word, or %; empty where there is none.
        sentence: All of it in words.
    """

    verdict: Verdict
    interval: Interval
    n: int
    unit: str
    sentence: str

    def to_table(self) -> dict[str, Any]:
        """As it stands in results.json."""
        table = {"verdict": self.verdict, "n": self.n, "unit": self.unit, "sentence": self.sentence}
        return table | {"interval": self.interval.to_table()}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """The inverse of ``to_table``."""
        bounds = dict(table["interval"])
        estimate = math.nan if bounds["estimate"] is None else bounds["estimate"]  # JSON has no NaN
        return cls(**{**table, "interval": Interval(**bounds | {"estimate": estimate})})


class Claim(Choices):
    """What is claimed, and how seeds decide."""

    kind: str
    rule: ClassVar[str]  # in words, for people

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """Whose values it needs."""

    @abstractmethod
    def interval(self, good: Mapping[str, np.ndarray]) -> Interval:
        """Of what the rule looks at, from label → values (seeds,) of which more is better."""

    @abstractmethod
    def verdict(self, lower: float, upper: float) -> Verdict:
        """By the interval's bounds."""

    @abstractmethod
    def sentence(self, verdict: Verdict, found: Interval, score: Score, name: str) -> str:
        """The verdict in words, without the number of seeds and without a full stop."""

    def score(self, score: Score) -> Score:
        """What the interval is counted in; by default the metric's own."""
        return score

    def judge(self, values: Mapping[str, Seeds], score: Score, split: str = "test") -> Judgement:
        """Judge over the seeds that all labels have.

        Args:
            values: Label → seed → the metric's value.
            score: How to speak of the metric, and which way it counts.
            split: Where it was measured; empty where that needs no word.

        Raises:
            ValueError: A label has no values, or they have no seed in common.
        """
        lacking = [label for label in self.labels if not values.get(label)]
        if lacking:
            raise ValueError(f"{lacking[0]} has no results: run it first.")
        seeds = sorted(set.intersection(*(set(values[label]) for label in self.labels)))
        if not seeds:
            raise ValueError(
                f"{', '.join(self.labels)} have no seed in common: run them with the same seeds."
            )
        sign = -1.0 if score.less_is_better else 1.0
        good = {label: sign * np.array([values[label][seed] for seed in seeds]) for label in self.labels}
        finite = all(np.isfinite(column).all() for column in good.values())
        found = self.interval(good) if finite else Interval(estimate=math.nan)
        counted, name = self.score(score), f"{split} {score.metric}".strip()
        verdict: Verdict = "amber"
        if found.lower is not None and found.upper is not None:
            verdict = self.verdict(found.lower, found.upper)
        said = f"nothing is decided, as {name} gives no finite number here"
        if math.isfinite(found.estimate):
            said = self.sentence(verdict, found, counted, name)
        said += f"; {_seeds(len(seeds))}."
        return Judgement(
            verdict=verdict,
            interval=found.times(counted.factor),
            n=len(seeds),
            unit=counted.unit,
            sentence=said[:1].upper() + said[1:],
        )


class OfTwo(Claim):
    """A claim about the paired difference of ``a`` and ``b``."""

    a: str
    b: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Both."""
        return self.a, self.b

    def interval(self, good: Mapping[str, np.ndarray]) -> Interval:
        """Of a − b."""
        return mean_interval(good[self.a] - good[self.b])


class Better(OfTwo):
    """``a`` is better than ``b``: the paired difference is above 0."""

    kind: Literal["better"] = "better"
    rule: ClassVar[str] = (
        "95 % t interval of the paired difference: green if all of it is on the claimed side of 0, red if all of it is on"
        f" the other side, amber if it holds 0 or there are fewer than {FEWEST_SEEDS} seeds."
    )

    def verdict(self, lower: float, upper: float) -> Verdict:
        """By the side of 0."""
        return _side(lower, upper)

    def sentence(self, verdict: Verdict, found: Interval, score: Score, name: str) -> str:
        """Which is better, and by how much."""
        if verdict == "amber":
            return f"{self.a} is not shown to be better than {self.b}: {name} {_change(found, score)}"
        which = "better" if verdict == "green" else "worse"
        return f"{self.a} is {which} than {self.b}: {name} {_change(found, score)}"


class Equivalent(OfTwo):
    """``a`` and ``b`` differ by less than ``margin``."""

    kind: Literal["equivalent"] = "equivalent"
    margin: float = Field(
        gt=0, title="Margin", description="Of the metric itself: 0.02 of an accuracy is 2 points."
    )
    rule: ClassVar[str] = (
        "95 % t interval of the paired difference: green if all of it is inside ± the margin, red if all of it is outside,"
        f" amber otherwise or with fewer than {FEWEST_SEEDS} seeds."
    )

    def verdict(self, lower: float, upper: float) -> Verdict:
        """By where it lies relative to ± margin."""
        return _within(lower, upper, -self.margin, self.margin)

    def sentence(self, verdict: Verdict, found: Interval, score: Score, name: str) -> str:
        """Whether they are equivalent, and how they differ."""
        said = {"green": "equals", "amber": "is not shown to equal", "red": "differs from"}[verdict]
        word = "by more than" if verdict == "red" else "within"
        margin = f"{score.factor * self.margin:g} {score.unit}".strip()
        return f"{self.a} {said} {self.b} {word} {margin}: {name} {_change(found, score)}"


class Trend(Claim):
    """Along a number such as k, the metric gets better or worse: the slope over log₂ of it, seed by seed."""

    kind: Literal["trend"] = "trend"
    along: dict[str, float] = Field(
        min_length=2, title="Along", description="Label → its number above 0; of dropout-8 that is k = 8."
    )
    gets: Literal["better", "worse"]
    what: str = Field("k", title="What", description="Name of that number.")
    rule: ClassVar[str] = (
        "Each seed's least-squares slope over log₂ k, and the 95 % t interval of their mean: green if all of it is on the"
        f" claimed side of 0, red if all of it is on the other side, amber if it holds 0 or there are fewer than {FEWEST_SEEDS} seeds."
    )

    @field_validator("along")
    @classmethod
    def _has_logarithms(cls, along: dict[str, float]) -> dict[str, float]:
        if min(along.values()) <= 0 or len(set(along.values())) < 2:
            raise SpecError(f"along = {along} has no slope: give two or more different numbers above 0.")
        return along

    @property
    def labels(self) -> tuple[str, ...]:
        """Those along which it goes."""
        return tuple(self.along)

    def interval(self, good: Mapping[str, np.ndarray]) -> Interval:
        """Of the slope, a doubling; in the claimed direction it is positive."""
        x = np.log2([self.along[label] for label in self.labels])
        x -= x.mean()
        slopes = x @ np.stack([good[label] for label in self.labels]) / (x @ x)
        return mean_interval(slopes if self.gets == "better" else -slopes)

    def verdict(self, lower: float, upper: float) -> Verdict:
        """By the side of 0."""
        return _side(lower, upper)

    def sentence(self, verdict: Verdict, found: Interval, score: Score, name: str) -> str:
        """Which way it goes, a doubling."""
        change = found if self.gets == "better" else found.times(-1)
        said = {
            "green": f"gets {self.gets}",
            "amber": f"is not shown to get {self.gets}",
            "red": f"gets {'worse' if self.gets == 'better' else 'better'}",
        }[verdict]
        return f"{name} {said} with {self.what}: it {_change(change, score)} at each doubling"


class Ratio(Claim):
    """The gain of ``top`` is such a share of the gain of ``bottom``: ``["explicit", "none"]`` is what explicit gains over none.

    With one label each, the ratio of two levels.
    """

    kind: Literal["ratio"] = "ratio"
    top: Pair | tuple[str]
    bottom: Pair | tuple[str]
    least: float | None = Field(None, title="Least", description="Of the ratio; 0.8 is 80 %.")
    most: float | None = Field(None, title="Most", description="Of the ratio.")
    rule: ClassVar[str] = (
        "Ratio of the two mean paired differences with Fieller's 95 % interval: green if all of it is in the claimed range,"
        f" red if all of it is outside, amber otherwise, where it is unbounded, or with fewer than {FEWEST_SEEDS} seeds."
    )

    @model_validator(mode="after")
    def _claims_something(self) -> Self:
        if self.least is None and self.most is None:
            raise SpecError("A ratio without least and most claims nothing: give one of them.")
        if len(self.top) != len(self.bottom):
            raise SpecError(
                f"top = {list(self.top)} and bottom = {list(self.bottom)} do not compare: give two labels each, or one each."
            )
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Of both gains, each once."""
        return tuple(dict.fromkeys((*self.top, *self.bottom)))

    def interval(self, good: Mapping[str, np.ndarray]) -> Interval:
        """Of top / bottom."""
        top, bottom = (
            good[pair[0]] - good[pair[1]] if len(pair) == 2 else good[pair[0]]
            for pair in (self.top, self.bottom)
        )
        try:
            return ratio_interval(top, bottom)
        except ZeroDivisionError:
            return Interval(estimate=math.nan)

    def verdict(self, lower: float, upper: float) -> Verdict:
        """By the claimed range."""
        least = -math.inf if self.least is None else self.least
        return _within(lower, upper, least, math.inf if self.most is None else self.most)

    def score(self, score: Score) -> Score:
        """In per cent."""
        return SHARE

    def sentence(self, verdict: Verdict, found: Interval, score: Score, name: str) -> str:
        """The share, and the range that was claimed."""
        what = {1: "{0}", 2: "the gain of {0} over {1}"}
        top, bottom = (what[len(pair)].format(*pair) for pair in (self.top, self.bottom))
        ranges = [f"at least {100 * self.least:g} %"] if self.least is not None else []
        ranges += [f"at most {100 * self.most:g} %"] if self.most is not None else []
        amount = f"{score.amount(found.estimate)} %{score.bracket(found.lower, found.upper)}"
        said = {"green": "as claimed", "amber": "not decided", "red": "not as claimed"}[verdict]
        return f"in {name}, {top} is {amount} of {bottom}; {said}: {' and '.join(ranges)}"


class SmallerGap(Claim):
    """What ``gap`` gains is less than what ``than`` gains: the difference of two paired differences."""

    kind: Literal["smaller-gap"] = "smaller-gap"
    gap: Pair
    than: Pair
    rule: ClassVar[str] = (
        "95 % t interval of the difference of the two paired differences: green if all of it is on the claimed side of 0, red"
        f" if all of it is on the other side, amber if it holds 0 or there are fewer than {FEWEST_SEEDS} seeds."
    )

    @property
    def labels(self) -> tuple[str, ...]:
        """Of both gaps, each once."""
        return tuple(dict.fromkeys((*self.gap, *self.than)))

    def interval(self, good: Mapping[str, np.ndarray]) -> Interval:
        """Of the gain of ``than`` minus the gain of ``gap``."""
        (a, b), (c, d) = self.gap, self.than
        return mean_interval((good[c] - good[d]) - (good[a] - good[b]))

    def verdict(self, lower: float, upper: float) -> Verdict:
        """By the side of 0."""
        return _side(lower, upper)

    def sentence(self, verdict: Verdict, found: Interval, score: Score, name: str) -> str:
        """Which gap is smaller, and by how much."""
        said = {"green": "is", "amber": "is not shown to be", "red": "is not"}[verdict]
        amount = (
            f"{score.amount(found.estimate)}{score.bracket(found.lower, found.upper)} {score.unit}".strip()
        )
        (a, b), (c, d) = self.gap, self.than
        return f"the gain in {name} of {a} over {b} {said} smaller than that of {c} over {d}: by {amount}"


KINDS: dict[str, type[Claim]] = {
    one.model_fields["kind"].default: one for one in (Better, Equivalent, Trend, Ratio, SmallerGap)
}


def read_claim(table: Any) -> Claim:
    """A claim from a plain table, as it comes from TOML or JSON.

    Raises:
        SpecError: One sentence about the first thing that is wrong with it.
    """
    if isinstance(table, Claim):
        return table
    kind = table.get("kind") if isinstance(table, Mapping) else table
    if kind not in KINDS:
        raise unknown_name("kind of claim", kind, KINDS)
    found: Claim = KINDS[kind].from_table(dict(table))
    return found


def _side(lower: float, upper: float) -> Verdict:
    if lower > 0:
        return "green"
    return "red" if upper < 0 else "amber"


def _within(lower: float, upper: float, least: float, most: float) -> Verdict:
    if least < lower and upper < most:
        return "green"
    return "red" if upper < least or lower > most else "amber"


def _change(found: Interval, score: Score) -> str:
    """What became of a metric, of which ``found`` counts what is better: ``is lower by 0.128 [0.080, 0.176] nats``."""
    worse = found.estimate < 0
    shown = found.times(-1) if worse else found
    direction = "lower" if worse != score.less_is_better else "higher"
    amount = f"{score.amount(shown.estimate)}{score.bracket(shown.lower, shown.upper)} {score.unit}".strip()
    return f"is {direction} by {amount}"


def _seeds(n: int) -> str:
    seeds = "1 seed" if n == 1 else f"{n} paired seeds"
    return seeds if n >= FEWEST_SEEDS else f"{seeds}, an anecdote"
