"""What is shown of a cell: one number with its interval, from the last values of its finished seeds. Paired seeds throughout."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from dropviz.analysis import FEWEST_SEEDS, Interval, decompose, mean_interval, ratio_interval
from dropviz.analysis.score import score_of
from dropviz.choices import unknown_name
from dropviz.experiment import ExperimentSpec, live_steps

Finals = Mapping[str, Mapping[str, Mapping[int, float]]]  # arm → metric → seed → value
ANALYTIC, BY_DEFINITION = "term/explicit", "regularizer/monte_carlo"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of one cell.

    Attributes:
        interval: The number with its 95 % interval; None where there is none, and ``reason`` says why.
        n: Seeds that it is over.
        distinct: Whether the interval excludes the measure's reference; None where there is nothing to compare.
        reason: Why there is no number, in a few words.
    """

    interval: Interval | None = None
    n: int = 0
    distinct: bool | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number that a cell can show.

    Attributes:
        name: As it stands in links.
        label: On a button that shows it.
        title: What it is, and its unit.
        note: How to read it, in a sentence.
        factor: From the number to the unit that it is shown in.
        digits: Decimals of what is shown.
        reference: What its interval is compared with; None for nothing.
        of: From finals: the interval and its n, or why there is none.
    """

    name: str
    label: str
    title: str
    note: str
    factor: float = 1.0
    digits: int = 2
    reference: float | None = None
    of: Callable[[Finals], tuple[Interval, int] | str]


def measures(spec: ExperimentSpec) -> list[Measure]:
    """Those that the arms and statistics of this experiment give, the most telling first."""
    arms, score = set(spec.arms), score_of(spec.data.task)
    metric = f"test/{score.metric}"
    unit = f" in {score.unit}" if score.unit else ""
    found = []
    if {"none", "dropout"} <= arms:
        better = (
            f"{metric.replace('/', ' ')}, above 0 where dropout helps"
            if not score.less_is_better
            else (f"how much lower {metric.replace('/', ' ')} is, above 0 where dropout helps")
        )
        gain = partial(_decomposed, "gain", metric)
        found.append(
            Measure(
                name="gain",
                label="Gain",
                title=f"Gain of dropout{unit}",
                note=better,
                reference=0.0,
                of=gain,
                factor=score.factor,
                digits=score.digits,
            )
        )
        if any(arm.startswith("dropout-") and "+" not in arm for arm in arms):
            share = partial(_decomposed, "explicit_share", metric)
            note = "how much of the gain dropout with k masks keeps, where there is a gain"
            found.append(
                Measure(
                    name="explicit-share",
                    label="Explicit share",
                    title="Explicit share in %",
                    note=note,
                    factor=100,
                    digits=0,
                    of=share,
                )
            )
        if "explicit+implicit" in arms:
            faithful = partial(_decomposed, "faithfulness", metric)
            note = "how much of the gain the formulas reproduce, where there is a gain"
            found.append(
                Measure(
                    name="faithfulness",
                    label="Gain by formulas",
                    title="Gain by the formulas in %",
                    note=note,
                    factor=100,
                    digits=0,
                    reference=1.0,
                    of=faithful,
                )
            )
    if {"dropout", "explicit+implicit"} <= arms:
        gap = partial(_gap, metric, -1.0 if score.less_is_better else 1.0)
        note = f"formulas minus dropout{', as a gain' if score.less_is_better else ''}: below 0 where the formulas fall short"
        found.append(
            Measure(
                name="gap",
                label="Formulas − dropout",
                title=f"Formulas against dropout{unit}",
                note=note,
                reference=0.0,
                of=gap,
                factor=score.factor,
                digits=score.digits,
            )
        )
    if live_steps(spec):
        arm = "dropout" if "dropout" in arms else spec.arms[0]
        note = f"explicit regularizer of the trained networks ({arm}): 1 where the formula is exact"
        found.append(
            Measure(
                name="ratio",
                label="R: formula ÷ masks",
                title="R by formula ÷ R by masks",
                note=note,
                reference=1.0,
                of=partial(_ratio, arm),
            )
        )
    for arm in spec.arms:
        less = ", lower is better" if score.less_is_better else ""
        title = f"{arm}: test {score.metric}{' in %' if score.metric == 'accuracy' else unit}"
        found.append(
            Measure(
                name=f"score:{arm}",
                label=arm,
                title=title,
                note=f"mean over seeds{less}",
                of=partial(_score, arm, metric),
                factor=score.factor,
                digits=score.digits,
            )
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Measures of one unit, which are drawn over each other."""

    name: str
    measures: list[Measure]
    title: str


def panels(spec: ExperimentSpec) -> list[Panel]:
    """The scores of all arms together, then each other measure by itself."""
    found = measures(spec)
    scores = [one for one in found if one.name.startswith("score:")]
    title = scores[0].title.partition(": ")[2]
    together = Panel(name="scores", measures=scores, title=title[:1].upper() + title[1:])
    alone = [Panel(name=one.name, measures=[one], title=one.title) for one in found if one not in scores]
    return [together, *alone]


def metrics_read(spec: ExperimentSpec) -> frozenset[str]:
    """The metrics that any of them reads."""
    return frozenset({f"test/{spec.data.task.score}", ANALYTIC, BY_DEFINITION})


def measure_named(spec: ExperimentSpec, name: str) -> Measure:
    """One of these by its name.

    Raises:
        SpecError: There is none of this name.
    """
    found = {measure.name: measure for measure in measures(spec)}
    if name not in found:
        raise unknown_name("measure of this sweep", name, found)
    return found[name]


def measured(measure: Measure, finals: Finals) -> Cell:
    """What a cell shows, from what is finished in it."""
    found = measure.of(finals)
    if isinstance(found, str):
        return Cell(reason=found)
    interval, n = found
    if not math.isfinite(interval.estimate):
        return Cell(n=n, reason="not a finite number")
    distinct = None
    if measure.reference is not None and interval.lower is not None and interval.upper is not None:
        distinct = not interval.lower <= measure.reference <= interval.upper
    return Cell(interval=interval, n=n, distinct=distinct)


def _decomposed(part: str, metric: str, finals: Finals) -> tuple[Interval, int] | str:
    values = {arm: found[metric] for arm, found in finals.items() if metric in found}
    if part == "explicit_share":  # only what this share is of, so that no other arm's seeds are waited for
        values = {arm: found for arm, found in values.items() if arm == "none" or arm.startswith("dropout")}
    decomposition = decompose(values, metric)
    if decomposition.verdict == "incomplete":
        return "not finished"
    found = getattr(decomposition, part)
    if found is not None:
        return found, decomposition.n
    if decomposition.verdict in ("no gain to explain", "dropout costs") or decomposition.gain is None:
        return "no gain to share"
    return "no gain to share" if decomposition.gain.estimate <= 0 else "not finished"


def _score(arm: str, metric: str, finals: Finals) -> tuple[Interval, int] | str:
    values = finals.get(arm, {}).get(metric, {})
    return (mean_interval(list(values.values())), len(values)) if values else "not finished"


def _gap(metric: str, sign: float, finals: Finals) -> tuple[Interval, int] | str:
    formulas, dropout = (finals.get(arm, {}).get(metric, {}) for arm in ("explicit+implicit", "dropout"))
    seeds = sorted(formulas.keys() & dropout.keys())
    if not seeds:
        return "not finished"
    return mean_interval([sign * (formulas[seed] - dropout[seed]) for seed in seeds]), len(seeds)


def _ratio(arm: str, finals: Finals) -> tuple[Interval, int] | str:
    analytic, sampled = (finals.get(arm, {}).get(name, {}) for name in (ANALYTIC, BY_DEFINITION))
    seeds = sorted(analytic.keys() & sampled.keys())
    if not seeds:
        return "not finished"
    below = [sampled[seed] for seed in seeds]
    if sum(below) == 0:
        return "R is 0"
    found = ratio_interval([analytic[seed] for seed in seeds], below)
    if len(seeds) >= FEWEST_SEEDS and found.lower is None:
        return "R is not told from 0"
    return found, len(seeds)
