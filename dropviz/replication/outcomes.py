"""What runs say about a row: every claim on every setting, and the verdict over all."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dropviz.analysis import FEWEST_SEEDS, Interval, Seeds, mean_interval, ratio_interval
from dropviz.analysis.claims import WORDS, Judgement, Verdict
from dropviz.analysis.score import Score, score_of
from dropviz.choices import Choices
from dropviz.replication.paper import Case, Row
from dropviz.replication.settings import Scale

Number = float | None  # JSON has neither NaN nor infinity
SPLIT = "test"
NOT_RUN = "not run"


class Bounds(Choices):
    """An interval, as a file has it."""

    estimate: Number
    lower: Number
    upper: Number


class ArmValues(Choices):
    """One arm over its seeds.

    Attributes:
        n, mean, lower, upper: How many seeds, their mean and its 95 % t interval.
        values: Seed → value of the metric.
    """

    n: int
    mean: Number
    lower: Number
    upper: Number
    values: dict[int, Number]


class Judged(Choices):
    """A claim on a setting; without a verdict where an arm that it needs has not run."""

    rule: str
    verdict: Verdict | None = None
    sentence: str
    interval: Bounds | None = None
    n: int = 0
    unit: str = ""

    @property
    def word(self) -> str:
        """The verdict for people."""
        return NOT_RUN if self.verdict is None else WORDS[self.verdict]


class SettingOutcome(Choices):
    """A row on one setting."""

    title: str
    metric: str
    arms: dict[str, ArmValues]
    claims: tuple[Judged, ...]
    spec: dict[str, object]  # of the first part, so that the numbers can be had again


class Outcome(Choices):
    """A row at a scale.

    Attributes:
        verdict: red if any claim does not hold on any setting, green if all ran and hold, else amber; None where nothing ran.
        summary: How many of them hold, in words.
        versions: What computed it: this program, its code, Python, torch and others.
    """

    scale: Scale
    verdict: Verdict | None
    summary: str
    settings: dict[str, SettingOutcome]
    versions: dict[str, str]

    @property
    def word(self) -> str:
        """The verdict for people."""
        return NOT_RUN if self.verdict is None else WORDS[self.verdict]


def outcome(
    row: Row, scale: Scale, values: Mapping[str, Mapping[str, Seeds]], versions: Mapping[str, str]
) -> Outcome:
    """Judge a row.

    Args:
        row, scale: What is judged, and at which size.
        values: Setting → arm → seed → value of the test metric, as far as there are any.
        versions: What computed them.
    """
    found = {case.name: _case(case, values) for case in row.cases(scale)}
    judged = [claim for one in found.values() for claim in one.claims]
    return Outcome(
        scale=scale,
        verdict=overall([claim.verdict for claim in judged]),
        summary=summary([claim.verdict for claim in judged]),
        settings=found,
        versions=dict(versions),
    )


def shares(found: SettingOutcome) -> dict[str, dict[str, Interval]]:
    """Part → arm → how much of dropout's gain over none it reaches: 0 is none, 1 is dropout.

    With Fieller's interval over the seeds that all three have; nothing of a part where dropout's gain is not shown.
    """
    columns: dict[str, dict[str, dict[int, float]]] = {}
    for label, arm in found.arms.items():
        part, _, name = label.rpartition(": ")
        values = {seed: value for seed, value in arm.values.items() if value is not None}
        columns.setdefault(part, {})[name] = values
    sign = -1.0 if found.metric.endswith("loss") else 1.0
    return {part: _shares(arms, sign) for part, arms in columns.items()}


def _shares(arms: Mapping[str, Seeds], sign: float) -> dict[str, Interval]:
    shown = {}
    for name, values in arms.items():
        seeds = set.intersection(*(set(arms.get(one, {})) for one in ("none", "dropout", name)))
        if len(seeds) < FEWEST_SEEDS:
            continue
        own, gain = (
            sign * np.array([one[seed] - arms["none"][seed] for seed in sorted(seeds)])
            for one in (values, arms["dropout"])
        )
        if (mean_interval(gain).lower or 0.0) > 0:
            shown[name] = ratio_interval(own, gain)
    return shown


def overall(verdicts: list[Verdict | None]) -> Verdict | None:
    """One for all: what does not hold anywhere does not hold, and what has not run is undecided."""
    if not any(verdicts):
        return None
    if "red" in verdicts:
        return "red"
    return "green" if set(verdicts) == {"green"} else "amber"


def summary(verdicts: list[Verdict | None]) -> str:
    """``5 of 6 tests hold, 1 is undecided``."""
    counts = {one: verdicts.count(one) for one in ("green", "amber", "red", None)}
    if counts[None] == len(verdicts):
        return "Not run at this scale."
    parts = [f"{counts['green']} of {len(verdicts)} tests hold"]
    parts += [f"{counts['amber']} undecided"] if counts["amber"] else []
    parts += [f"{counts['red']} against the claim"] if counts["red"] else []
    parts += [f"{counts[None]} not run"] if counts[None] else []
    return ", ".join(parts) + "."


def _case(case: Case, values: Mapping[str, Mapping[str, Seeds]]) -> SettingOutcome:
    by_label: dict[str, Seeds] = {}
    for part, setting in case.settings.items():
        of_setting = values.get(setting.name, {})
        for arm in case.arms(part):
            if of_setting.get(arm):
                by_label[f"{part}: {arm}" if part else arm] = of_setting[arm]
    first = next(iter(case.settings.values())).spec(case.arms(next(iter(case.settings))))
    score = score_of(first.data.task)
    judged = []
    for claim in case.claims:
        missing = [label for label in claim.labels if label not in by_label]
        found = None if missing else claim.judge(by_label, score, SPLIT)
        judged.append(_judged(claim.rule, found, missing, score))
    return SettingOutcome(
        title=case.title,
        metric=f"{SPLIT}/{score.metric}",
        arms={label: _arm(seeds) for label, seeds in by_label.items()},
        claims=tuple(judged),
        spec=first.to_table(),
    )


def _judged(rule: str, found: Judgement | None, missing: list[str], score: Score) -> Judged:
    if found is None:
        return Judged(rule=rule, sentence=f"No results of {', '.join(missing)}.")
    interval = {name: _number(value) for name, value in found.interval.to_table().items()}
    return Judged(
        rule=rule,
        verdict=found.verdict,
        sentence=found.sentence,
        interval=Bounds(**interval),
        n=found.n,
        unit=found.unit,
    )


def _arm(seeds: Seeds) -> ArmValues:
    ordered = {seed: seeds[seed] for seed in sorted(seeds)}
    column = np.array(list(ordered.values()))
    finite = bool(np.isfinite(column).all())
    found = mean_interval(column) if finite else None
    return ArmValues(
        n=len(column),
        mean=found.estimate if found else None,
        lower=found.lower if found else None,
        upper=found.upper if found else None,
        values={seed: _number(value) for seed, value in ordered.items()},
    )


def _number(value: Number) -> Number:
    return value if value is not None and math.isfinite(value) else None
