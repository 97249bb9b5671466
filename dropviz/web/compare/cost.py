"""Arms of runs at equal cost, as the Compare page shows them. No streamlit; numbers come from below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dropviz.analysis.comparison import Contender, Priced, at_equal_cost, mean_score
from dropviz.analysis.score import Score, score_of
from dropviz.charts.compared import Line, row_name
from dropviz.web.compare.runs import Run
from dropviz.web.compare.tables import Axis, lines, shown_change, shown_n, shown_pairing, shown_score, unit_of
from dropviz.web.figures import Table

UNITS = {
    "seconds": "seconds of training, a seed",
    "gradients": "gradients of a minibatch under one mask, a seed",
}


@dataclass(frozen=True, kw_only=True)
class AtCost:
    """Arms of runs compared where each had spent what the cheapest spent in all.

    Attributes:
        score: Name of what is compared.
        budget: That much.
        lines: Validation scores over what they cost.
        table: Differences at that budget.
        left_out: Arms of runs that have no price in this unit.
        scheduled: Whether a learning rate was still to fall there, which is no end of a run.
    """

    score: str
    budget: float
    lines: list[Line]
    table: Table
    left_out: list[str]
    scheduled: bool


def equal_cost(
    runs: Sequence[Run], arms: Sequence[str], reference: tuple[int, str], unit: str
) -> AtCost | None:
    """Validation scores against what they cost, and differences at equal cost; None where fewer than two have a price.

    Args:
        runs, arms: What is compared.
        reference: Number of a run, and an arm.
        unit: ``seconds`` or ``gradients`` (see ``cost.Cost.a_step``).
    """
    base = next(run for run in runs if run.number == reference[0])
    metric, score = f"validation/{base.spec.data.task.score}", score_of(base.spec.data.task)
    wanted = [(run, arm) for run in runs for arm in arms if arm in run.spec.arms]
    found = {(run.number, arm): _priced(run, arm, metric, unit) for run, arm in wanted}
    priced = {place: one for place, one in found.items() if one is not None}
    if len(priced) < 2:
        return None
    places = list(priced)
    first = places.index(reference) if reference in priced else 0
    budget, reached = at_equal_cost(list(priced.values()), first)
    numbers = [run.number for run in runs]
    rows = []
    for index, one in enumerate(reached):
        itself = index == first
        rows.append(
            [
                row_name(one.contender.run, one.contender.arm, numbers),
                shown_score(mean_score(one.contender), score),
                "–" if itself else shown_change(one.change.change, score),
                str(len(one.contender.scores)) if itself else shown_n(one.change),
                "reference" if itself else shown_pairing(one.change),
                f"{one.steps:,.0f} of {one.of:,}",
            ]
        )
    left_out = [row_name(*place, numbers) for place in found if place not in priced]
    axis = Axis(title=UNITS[unit], key=unit)
    drawn, _ = lines(runs, arms, metric, axis, 0.0)
    return AtCost(
        score=score.metric,
        budget=budget,
        lines=[line for line in drawn if (line.run, line.arm) in priced],
        table=Table(columns=_columns(score, row_name(*places[first], numbers)), rows=rows),
        left_out=left_out,
        scheduled=any(run.spec.train.schedule != "constant" for run, _ in wanted),
    )


def _priced(run: Run, arm: str, metric: str, unit: str) -> Priced | None:
    a_step, curve = run.costs[arm].a_step(unit), run.source.curve(arm, metric)
    if not a_step or len(curve.steps) < 2:
        return None
    one = Contender(run=run.number, arm=arm, spec=run.spec, scores={})
    return Priced(contender=one, curve=curve, a_step=a_step)


def _columns(score: Score, reference: str) -> list[str]:
    change = f"difference to {reference}{unit_of(score)}"
    return ["", f"validation {score.metric} at equal cost", change, "n", "compared", "steps until then"]
