"""What the Compare page shows of its runs, as lines to draw and rows of text. No streamlit; numbers come from below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dropviz.analysis import Interval, decompose
from dropviz.analysis.comparison import Contender, Difference, difference, mean_score
from dropviz.analysis.cost import Cost
from dropviz.analysis.headline import Headline, headline
from dropviz.analysis.pooling import Entry, Pool, pools, refusal
from dropviz.analysis.score import Score
from dropviz.charts.compared import Bar, Line, row_name
from dropviz.experiment.difference import differing, shared, short_name, written
from dropviz.web.compare.runs import Run, drawn_band
from dropviz.web.figures import Table

POINTS, FEWEST_POINTS, MOST_POINTS = 24_000, 60, 1000  # of all lines together, and of one
MOST_NAMED = 8  # runs in one sentence
ROWS, ROWS_A_LINE = 400, 20  # of the table beside the curves
Row = list[str]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An x axis: its title, and how far along it a step of an arm of a run is; None where nobody knows."""

    title: str
    key: str

    def a_step(self, run: Run, arm: str) -> float | None:
        """Its length along the axis."""
        return run.costs[arm].along(self.key, run.spec)


AXES = {
    "step": Axis(title="step", key="step"),
    "epoch": Axis(title="epoch", key="epoch"),
    "examples": Axis(title="examples", key="examples"),
    "time": Axis(title="seconds of training, a seed", key="seconds"),
}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """An arm of a run beside the reference."""

    run: Run
    contender: Contender
    score: Interval | None
    change: Difference


def contender(run: Run, arm: str) -> Contender:
    """An arm of a run with its scores on the test split; those that are no numbers are left out."""
    scores = {seed: value for seed, value in run.scores.get(arm, {}).items() if _finite(value)}
    return Contender(run=run.number, arm=arm, spec=run.spec, scores=scores)


def compared(
    runs: Sequence[Run], arms: Sequence[str], reference: tuple[int, str]
) -> tuple[Contender, list[Compared]]:
    """The reference, and all others against it, in the order of the runs and of the arms."""
    by_number = {run.number: run for run in runs}
    base = contender(by_number[reference[0]], reference[1])
    found = []
    for run in runs:
        for arm in arms:
            if arm in run.spec.arms and (run.number, arm) != reference:
                one = contender(run, arm)
                found.append(
                    Compared(run=run, contender=one, score=mean_score(one), change=difference(base, one))
                )
    return base, found


def warnings(found: Sequence[Compared], reference: Contender) -> list[str]:
    """A sentence for each run that does not pair with the reference's, or cannot be compared with it."""
    by_run: dict[int, str] = {}
    for one in found:
        why = one.change.why
        if why and why != "no score yet":
            verb = "does not pair with" if one.change.change else "cannot be compared with"
            rest = " Its differences are unpaired: wider, and of other draws." if one.change.change else ""
            by_run.setdefault(
                one.run.number, f"Run {one.run.number} {verb} run {reference.run}: {why}.{rest}"
            )
    return list(by_run.values())


def versions(runs: Sequence[Run]) -> str:
    """What to mind where not all runs were computed by the same version of the program; empty where they were."""
    numbers: dict[str | None, list[int]] = {}
    for run in runs:
        numbers.setdefault(run.program, []).append(run.number)
    if len(runs) < 2 or (len(numbers) == 1 and None not in numbers):
        return ""
    groups = [
        _runs(found) + (" by an earlier one that is not known" if program is None else "")
        for program, found in numbers.items()
    ]
    if len(groups) == 1:
        return (
            f"An earlier version of the program or its packages computed {_runs(numbers[None])}, and whether the same one did is not"
            " known. If not, equal seeds may have drawn otherwise: compute them anew to be sure."
        )
    return (
        f"Different versions of the program or its packages computed these runs: {'; '.join(groups)}. Equal seeds may have drawn"
        " otherwise, and a difference may be that of the versions: compute them anew to be sure."
    )


def _runs(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:MOST_NAMED]))
    more = f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else ""
    return f"run {shown}" if len(numbers) == 1 else f"runs {shown}{more}"


def bars(found: Sequence[Compared]) -> list[Bar]:
    """Those that have a difference."""
    return [
        Bar(
            run=one.run.number,
            arm=one.contender.arm,
            value=one.change.change.estimate,
            lower=one.change.change.lower,
            upper=one.change.change.upper,
            paired=one.change.paired,
        )
        for one in found
        if one.change.change and _finite(one.change.change.estimate)
    ]


def difference_table(
    reference: Contender, base: Run, found: Sequence[Compared], runs: Sequence[int], score: Score
) -> Table:
    """Scores, differences and costs, a row an arm of a run; the reference first."""
    columns = ["", f"test {score.metric}", f"difference{unit_of(score)}", "n", "compared"]
    columns += ["training a seed", "a step and seed", "passes a step", "examples a step"]
    first = [row_name(reference.run, reference.arm, runs), shown_score(mean_score(reference), score)]
    rows = [[*first, "–", str(len(reference.scores)), "reference", *cost_cells(base.costs[reference.arm])]]
    for one in found:
        name = row_name(one.run.number, one.contender.arm, runs)
        change = shown_change(one.change.change, score)
        how = shown_pairing(one.change)
        cells = cost_cells(one.run.costs[one.contender.arm])
        rows.append([name, shown_score(one.score, score), change, shown_n(one.change), how, *cells])
    return Table(columns=columns, rows=rows)


def shown_pairing(change: Difference) -> str:
    """How a difference was formed, or why there is none."""
    return "paired" if change.paired else "unpaired" if change.change else change.why


def shown_n(change: Difference) -> str:
    """``8``, or ``8 and 6`` of what does not pair."""
    return " and ".join(map(str, change.n)) or "–"


def shown_score(found: Interval | None, score: Score) -> str:
    """``83.1 % [82.0, 84.2]`` or ``1.234``; – where there is none."""
    if found is None:
        return "–"
    unit = " %" if score.metric == "accuracy" else ""
    return f"{score.amount(found.estimate)}{unit}{score.bracket(found.lower, found.upper)}"


def shown_change(found: Interval | None, score: Score) -> str:
    """The same of a difference, with its sign."""
    if found is None or not _finite(found.estimate):
        return "–"
    sign = "+" if found.estimate > 0 else ""
    few = "" if found.lower is not None else " (anecdote)"
    return f"{sign}{score.amount(found.estimate)}{score.bracket(found.lower, found.upper)}{few}"


def cost_cells(found: Cost) -> Row:
    """Seconds a seed, milliseconds a step and seed, forward passes and examples a step."""
    seconds = "–" if found.seconds is None else f"{found.seconds:,.2f} s"
    step = "–" if found.step_seconds is None else f"{1000 * found.step_seconds:,.3f} ms"
    most = "at most " if found.switches else ""
    passes = f"{most}{found.passes}{' + derivatives' if found.derivatives else ''}"
    return [seconds, step, passes, f"{found.examples:,}"]


def lines(
    runs: Sequence[Run], arms: Sequence[str], metric: str, axis: Axis, smoothing: float
) -> tuple[list[Line], list[str]]:
    """The curves of a metric along an axis, and which have none there, in words."""
    wanted = [(run, arm) for run in runs for arm in arms if arm in run.spec.arms]
    most = max(FEWEST_POINTS, min(MOST_POINTS, POINTS // max(1, len(wanted))))
    found, missing = [], []
    for run, arm in wanted:
        band, stopped = drawn_band(run, arm, metric, smoothing, most)
        a_step = axis.a_step(run, arm)
        if a_step is None or not len(band.steps):
            missing.append(f"{run.number} · {arm}")
            continue
        found.append(
            Line(
                run=run.number,
                arm=arm,
                x=(band.steps * a_step).astype(np.float32),
                mean=band.mean.astype(np.float32),
                lower=band.lower.astype(np.float32),
                upper=band.upper.astype(np.float32),
                stopped=stopped,
            )
        )
    return found, missing


def in_words(metric: str) -> str:
    """``validation accuracy`` of ``validation/accuracy``."""
    return metric.replace("/", " ").replace("_", " ")


def line_table(found: Sequence[Line], runs: Sequence[int], x: str, metric: str) -> Table:
    """A few evenly spaced points of every line, its last among them."""
    each = max(2, min(ROWS_A_LINE, ROWS // max(1, len(found))))
    rows = []
    for line in found:
        for place in np.unique(np.linspace(0, len(line.x) - 1, each).round().astype(int)).tolist():
            low, high = float(line.lower[place]), float(line.upper[place])
            interval = f"{low:.4g} to {high:.4g}" if _finite(low) and _finite(high) else "–"
            name = row_name(line.run, line.arm, runs)
            rows.append([name, f"{line.x[place]:,.4g}", f"{line.mean[place]:.4g}", interval])
    return Table(columns=["", x, metric, "95 % interval"], rows=rows)


def stories(runs: Sequence[Run]) -> tuple[list[tuple[Headline, str]], str]:
    """The sentence of each pool with the results that it used; or why there is none."""
    entries = [
        Entry(
            run=run.number, spec=run.spec, scores={arm: contender(run, arm).scores for arm in run.spec.arms}
        )
        for run in runs
    ]
    found: list[tuple[Headline, Pool]] = []
    for pool in pools(entries):
        metric = f"test/{pool.spec.data.task.score}"
        found.append((headline(decompose(pool.scores, metric), pool.spec), pool))
    several = len(found) > 1
    told = [(sentence, _used(pool, len(runs), several=several)) for sentence, pool in found]
    return told, "" if found else refusal(entries)


def _used(pool: Pool, runs: int, *, several: bool) -> str:
    """Which results a sentence stands on, and of several sentences which settings it is of."""
    if runs == 1:
        return ""
    arms = [
        f"{arm} from {' and '.join(f'run {run} ({_seeds(n)})' for run, n in sources.items())}"
        for arm, sources in pool.sources.items()
    ]
    left = [f"{arm} of run {run}, whose formulas are set otherwise" for arm, run in pool.left_out]
    of = f" for {short_name(pool.spec.to_table())}" if several else ""
    return f"Used{of}: {'; '.join(arms)}." + (f" Left out: {'; '.join(left)}." if left else "")


def settings_tables(runs: Sequence[Run]) -> tuple[Table, Table]:
    """The settings that differ between runs, a column a run; and those that are the same in all."""
    tables = [run.spec.to_table() for run in runs]
    other = [[key, *map(written, values)] for key, values in differing(tables).items()]
    same = [[key, written(value)] for key, value in shared(tables).items()]
    heads = [f"{run.number} · {run.name}" if len(runs) <= 4 else str(run.number) for run in runs]
    return Table(columns=["setting", *heads], rows=other), Table(columns=["setting", "all runs"], rows=same)


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"


def unit_of(score: Score) -> str:
    """``, points`` behind a title; nothing where a score has no unit."""
    return f", {score.unit}" if score.unit else ""


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
