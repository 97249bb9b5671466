"""What a run says about a lesson: its effects judged, its symbols' numbers, and how a prediction compares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dropviz.analysis import FEWEST_SEEDS, Interval
from dropviz.analysis.claims import Judgement, Verdict
from dropviz.analysis.score import Score
from dropviz.experiment import ExperimentSpec
from dropviz.lessons.lesson import Amount, Choose, Curves, Draw, Effect, Lesson, Symbol
from dropviz.lessons.measured import Measured

NEAR = 0.1  # of the height of the chart: so far off, a drawn point counts as met


@dataclass(frozen=True, kw_only=True)
class Number:
    """A symbol's value in words, such as ``0.233 [0.227, 0.240] nats``; empty where it has none."""

    tex: str
    meaning: str
    value: str


def judgements(lesson: Lesson, measured: Measured, spec: ExperimentSpec) -> list[Judgement]:
    """The verdict on each effect, in order.

    Raises:
        LookupError: Something that an effect looks at was not measured.
        ValueError: The arms have no seed in common.
    """
    return [_judged(effect, measured, spec) for effect in lesson.effects]


def _judged(effect: Effect, measured: Measured, spec: ExperimentSpec) -> Judgement:
    values = {label: effect.quantity(label).by_seed(measured.values) for label in effect.rule.labels}
    return effect.rule.judge(values, *effect.score(spec))


def verdict(found: Sequence[Judgement]) -> Verdict:
    """Of the lesson as a whole: green where all effects are, red where one is."""
    verdicts = {one.verdict for one in found}
    if "red" in verdicts:
        return "red"
    return "amber" if "amber" in verdicts else "green"


def numbers(lesson: Lesson, measured: Measured, spec: ExperimentSpec) -> list[Number]:
    """The symbols of the equation with their values in this run."""
    return [
        Number(tex=symbol.tex, meaning=symbol.meaning, value=_value(symbol, measured, spec))
        for symbol in lesson.equation.symbols
    ]


def _value(symbol: Symbol, measured: Measured, spec: ExperimentSpec) -> str:
    if symbol.setting:
        return f"{spec.p if symbol.setting == 'p' else spec.p / (1 - spec.p):.3g}"
    if symbol.amount is None:
        return ""
    try:
        return told(symbol.amount.quantity.interval(measured.values), symbol.amount)
    except LookupError:
        return "not measured"


def scaled(found: Interval, shown: Amount | Draw | Curves) -> Interval:
    """In the unit that it is shown in: times a factor, or of a loss the perplexity."""
    if not shown.perplexity:
        return found.times(shown.factor)
    lower, upper = (None if bound is None else math.exp(bound) for bound in (found.lower, found.upper))
    return Interval(estimate=math.exp(found.estimate), lower=lower, upper=upper)


def told(found: Interval, amount: Amount) -> str:
    """A number with its interval and unit."""
    if not math.isfinite(found.estimate):
        return "no finite number"
    found, score = scaled(found, amount), Score(metric="", unit=amount.unit, digits=amount.digits)
    return f"{score.amount(found.estimate)}{score.bracket(found.lower, found.upper)} {amount.unit}".strip()


def results(draw: Draw, measured: Measured) -> list[Interval]:
    """What the run has at each place of a drawn prediction, times its factor; over steps, at the nearest one measured.

    Raises:
        LookupError: It was not measured.
    """
    if draw.places:
        found = [place.quantity.interval(measured.values) for place in draw.places]
    else:
        (quantity,) = draw.quantities()
        steps = quantity.steps(measured.values)
        if not steps:
            raise LookupError("Nothing was measured over the steps.")
        nearest = [min(steps, key=lambda step: (abs(step - wanted), step)) for wanted in draw.steps]
        found = [quantity.interval(measured.values, step) for step in nearest]
    return [scaled(one, draw) for one in found]


def given_values(draw: Draw, measured: Measured) -> list[list[float]]:
    """Of each line that is given with the question, its value at each place, in the unit of the chart."""
    found = []
    for line in draw.given:
        if draw.places:
            level = scaled(line.quantity.interval(measured.values), draw).estimate
            found.append([level] * len(draw.places))
            continue
        steps = line.quantity.steps(measured.values)
        nearest = [min(steps, key=lambda step: (abs(step - wanted), step)) for wanted in draw.steps]
        found.append(
            [scaled(line.quantity.interval(measured.values, step), draw).estimate for step in nearest]
        )
    return found


def compared(draw: Draw, drawn: Sequence[float], found: Sequence[Interval]) -> str:
    """One or two sentences on a drawn prediction and the result: where they meet, and where they are furthest apart."""
    low, high = (_height(draw, end) for end in draw.range)
    gaps = [
        abs(_height(draw, guess) - _height(draw, one.estimate)) / (high - low)
        for guess, one in zip(drawn, found, strict=True)
    ]
    met = sum(gap <= NEAR for gap in gaps)
    worst = max(range(len(gaps)), key=gaps.__getitem__)
    if met == len(gaps):
        return "Your curve and the result run together: each of your points lies close to it."
    mine, here = _number(draw, drawn[worst]), _number(draw, found[worst].estimate)
    start = f"{met} of your {len(gaps)} points lie close to the result. " if met else ""
    return f"{start}They are furthest apart at {draw.labels[worst]}: you drew {mine}, here it is {here}."


def chosen(choose: Choose, option: int, measured: Measured) -> tuple[int, str]:
    """Which option came out, and a sentence on that and the prediction.

    Raises:
        LookupError: The outcome was not measured.
    """
    found = choose.outcome.quantity.interval(measured.values)
    came = choose.option_of(scaled(found, choose.outcome).estimate)
    value = told(found, choose.outcome)
    if option == came:
        return came, f"As you said: {choose.options[came]} It is {value}."
    if option < 0:
        return came, f"{choose.options[came]} It is {value}."
    return (
        came,
        f"You said: {choose.options[option]} It came out otherwise: {choose.options[came]} It is {value}.",
    )


def few(measured: Measured) -> str:
    """A note where there are too few seeds for an interval."""
    return "Fewer than three seeds: an anecdote, so no interval." if measured.seeds < FEWEST_SEEDS else ""


def _height(draw: Draw, value: float) -> float:
    """Where a value lies on the axis."""
    if draw.log:
        return math.log10(value) if value > 0 else math.log10(draw.range[0])
    return value if math.isfinite(value) else draw.range[0]


def _number(draw: Draw, value: float) -> str:
    return f"{value:.{draw.digits}f} {draw.unit}".strip().replace("-", "−")
