"""The parts of the Compare page, from the sentence to the settings. Drawing only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

import streamlit as st

from dropviz.analysis.headline import Headline
from dropviz.analysis.score import score_of
from dropviz.charts import compared as charts
from dropviz.charts.compared import row_name
from dropviz.web.compare import tables
from dropviz.web.compare.cost import UNITS, AtCost, equal_cost
from dropviz.web.compare.runs import Run, metrics_of
from dropviz.web.figures import Table, figure
from dropviz.web.plain import plain

MOST_KEPT = 64  # parts of pages that are kept as they were drawn, of all visitors
MOST_SENTENCES = 3
MOST_AT_FIRST = 12  # lines, of which a first look is not too full
MAIN_ARMS = ("none", "dropout")
CURVATURE = ("curvature", "layers", "spectrum", "alignment", "slice", "law")  # groups that are never smoothed


def chosen_arms(runs: Sequence[Run]) -> list[str]:
    """The arms that are compared, by a menu; at first those that fit one look."""
    known = list(dict.fromkeys(arm for run in runs for arm in run.spec.arms))
    many = sum(len(run.spec.arms) for run in runs) > MOST_AT_FIRST
    main = [arm for arm in known if arm in MAIN_ARMS]
    default = (main or known[:1]) if many and len(runs) > 1 else known
    return list(st.multiselect("Arms", known, default, key="arms", bind="query-params"))


def versions(runs: Sequence[Run]) -> None:
    """A warning where not all runs are of one version of the program."""
    if found := tables.versions(runs):
        st.warning(plain(found), icon=":material/warning:")


def sentences(runs: Sequence[Run]) -> None:
    """Dropout's gain, taken apart over whatever runs fit together; or why it is not."""
    found, refusal = _stories(tuple(runs))
    for headline, used in found[:MOST_SENTENCES]:
        text = "".join(f"**{plain(part)}**" if strong else plain(part) for part, strong in headline.parts)
        with st.container(border=True):
            st.markdown(f"#### {text}")
            st.caption(plain(". ".join(filter(None, (headline.note, used)))))
    if len(found) > MOST_SENTENCES:
        st.caption(f"{len(found) - MOST_SENTENCES} more can be made: compare fewer runs to read them.")
    if refusal:
        st.info(plain(refusal), icon=":material/info:")


def chosen_reference(runs: Sequence[Run], arms: Sequence[str]) -> tuple[int, str]:
    """The arm of a run that all others are compared with, by a menu; at first dropout of the first run that has it."""
    numbers = [run.number for run in runs]
    places = {
        row_name(run.number, arm, numbers): (run.number, arm)
        for run in runs
        for arm in run.spec.arms
        if arm in arms
    }
    names = list(places)
    first = next((names.index(name) for name, (_, arm) in places.items() if arm == "dropout"), 0)
    chosen = st.selectbox("Reference", names, first, key="reference", bind="query-params", width=320)
    return places.get(str(chosen), places[names[first]])


def differences(runs: Sequence[Run], arms: Sequence[str], reference: tuple[int, str]) -> None:
    """Every arm of every run against the reference, with what it cost."""
    found = _differences(tuple(runs), tuple(arms), reference)
    for sentence in found.warnings:
        st.warning(plain(sentence), icon=":material/warning:")
    if found.chart:
        better = "less is better" if found.less_is_better else "more is better"
        hollow = ". Hollow: unpaired, with Welch's interval" if found.unpaired else ""
        figure(
            "differences",
            found.chart,
            found.table,
            title=f"Difference to {found.name}",
            subtitle=f"Mean over paired seeds and 95 % t interval; {better}{hollow}",
            alt=f"Differences in {found.what} to {found.name}, each with its 95 % interval",
        )
    elif len(found.table.rows) > 1:
        st.caption("There is no test score to compare yet: it is read when an arm ends.")
    _table(found.table, "Scores, differences and cost of every arm")


@dataclass(frozen=True, kw_only=True)
class Differences:
    """What is drawn of the differences; the chart as JSON, empty without any."""

    name: str
    what: str
    warnings: list[str]
    chart: str
    unpaired: bool
    less_is_better: bool
    table: Table


@lru_cache(maxsize=MOST_KEPT)
def _differences(runs: tuple[Run, ...], arms: tuple[str, ...], reference: tuple[int, str]) -> Differences:
    base, found = tables.compared(runs, arms, reference)
    run = next(run for run in runs if run.number == base.run)
    score, numbers = score_of(run.spec.data.task), [run.number for run in runs]
    name, what = row_name(base.run, base.arm, numbers), f"test {score.metric}"
    bars, x = tables.bars(found), f"difference in {what}{tables.unit_of(score)}"
    chart = charts.differences(bars, numbers, reference=name, x=x, factor=score.factor)
    return Differences(
        name=name,
        what=what,
        warnings=tables.warnings(found, base),
        chart=chart.to_json() if bars else "",
        unpaired=not all(bar.paired for bar in bars),
        less_is_better=score.less_is_better,
        table=tables.difference_table(base, run, found, numbers, score),
    )


@lru_cache(maxsize=MOST_KEPT)
def _stories(runs: tuple[Run, ...]) -> tuple[list[tuple[Headline, str]], str]:
    return tables.stories(runs)


def curves(runs: Sequence[Run], arms: Sequence[str]) -> None:
    """A metric over the training of all of them."""
    known = metrics_of(runs)
    if not known:
        st.caption("No run has a point yet.")
        return
    st.subheader("Curves")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = (
            st.selectbox(
                "Metric", known, format_func=tables.in_words, key="metric", bind="query-params", width=280
            )
            or known[0]
        )
        axis = st.selectbox("Along", list(tables.AXES), key="along", bind="query-params", width=140) or "step"
        panels = st.selectbox("Panels", get_args(charts.Panels), key="panels", bind="query-params", width=140)
        log = st.toggle("Log scale", key="log", bind="query-params")
        rough = metric.partition("/")[0] in CURVATURE
        smoothing = st.slider(
            "Smoothing",
            0.0,
            0.95,
            0.0,
            0.05,
            key="smoothing",
            bind="query-params",
            width=200,
            disabled=rough,
            help="Weight of the past in a moving average of each seed's curve. Curvature is never smoothed.",
        )
    _curves(runs, arms, metric, axis, panels or "one", log, 0.0 if rough else smoothing)


def _curves(
    runs: Sequence[Run], arms: Sequence[str], metric: str, axis: str, panels: Any, log: bool, smoothing: float
) -> None:
    numbers = tuple(run.number for run in runs)
    drawn = _drawn(tuple(runs), tuple(arms), metric, axis, panels, log, smoothing)
    if drawn is None:
        st.caption("None of the chosen arms has this metric along this axis: choose another.")
        return
    chart, table, missing, count = drawn
    tag = f" · smoothed {smoothing:g}" if smoothing else ""
    few = "" if count <= charts.MOST_BANDS else f"; no bands above {charts.MOST_BANDS} lines"
    told = ""
    if len(numbers) > 1 and count <= charts.MOST_NUMBERED:
        told = "; a run's lines have its number, its filling of the markers, and are the fainter the later it stands"
    elif len(numbers) > 1:
        told = "; too many lines to tell runs apart: point at one, or compare fewer"
    figure(
        "curves",
        chart,
        table,
        title=f"{tables.in_words(metric)[:1].upper()}{tables.in_words(metric)[1:]}{tag}",
        subtitle=f"Mean over seeds, bands: 95 % t interval{few}{told}",
        alt=f"{tables.in_words(metric)} over {tables.AXES[axis].title} of {count} arms of runs",
    )
    if missing:
        more = f" and {len(missing) - 6} more" if len(missing) > 6 else ""
        st.caption(plain(f"Not there: {', '.join(missing[:6])}{more}."))


@lru_cache(maxsize=MOST_KEPT)
def _drawn(
    runs: tuple[Run, ...],
    arms: tuple[str, ...],
    metric: str,
    axis: str,
    panels: Any,
    log: bool,
    smoothing: float,
) -> tuple[str, Table, list[str], int] | None:
    """The curves as JSON, kept while neither runs nor choices change."""
    along = tables.AXES[axis]
    found, missing = tables.lines(runs, arms, metric, along, smoothing)
    if not found:
        return None
    numbers = [run.number for run in runs]
    y = tables.in_words(metric) + (f" (smoothed {smoothing:g})" if smoothing else "")
    chart = charts.overlay(found, numbers, x=along.title, y=y, log=log, panels=panels)
    return chart.to_json(), tables.line_table(found, numbers, along.title, metric), missing, len(found)


def costs(runs: Sequence[Run], arms: Sequence[str], reference: tuple[int, str]) -> None:
    """Scores against what they cost, and differences where each had spent what the cheapest spent."""
    st.subheader("At equal cost")
    unit = st.segmented_control(
        "Counted in",
        list(UNITS),
        default="seconds",
        format_func=str.capitalize,
        required=True,
        key="unit",
        bind="query-params",
    )
    unit = str(unit or "seconds")
    drawn = _at_cost(tuple(runs), tuple(arms), reference, unit)
    if drawn is None:
        st.caption(
            "Fewer than two of these arms have a price in this unit: seconds are known of runs that were trained here, gradients"
            " are counted where a step differentiates no derivatives, and an arm that switches has no one price."
        )
        return
    found, chart, score = drawn
    caution = " Some learning rates were still to fall there." if found.scheduled else ""
    figure(
        "at-cost",
        chart,
        found.table,
        title=f"Validation {score} against cost",
        subtitle=f"Compared at {found.budget:,.3g} {UNITS[unit]}: what the cheapest spent in all.{caution}",
        alt=f"Validation {score} over {UNITS[unit]}, with a mark at {found.budget:,.3g}",
    )
    _table(found.table, "Scores and differences at equal cost")
    if found.left_out:
        st.caption(plain(f"Without a price in this unit: {', '.join(found.left_out[:8])}."))


@lru_cache(maxsize=MOST_KEPT)
def _at_cost(
    runs: tuple[Run, ...], arms: tuple[str, ...], reference: tuple[int, str], unit: str
) -> tuple[AtCost, str, str] | None:
    """What is compared, its chart as JSON, and the name of the score."""
    found = equal_cost(runs, arms, reference, unit)
    if found is None:
        return None
    score, numbers = found.score, [run.number for run in runs]
    y = f"validation {score}"
    chart = charts.against_cost(found.lines, numbers, x=UNITS[unit], y=y, budget=found.budget, log=False)
    return found, chart.to_json(), score


def settings(runs: Sequence[Run]) -> None:
    """What differs between the runs, and the rest folded."""
    other, same = _settings(tuple(runs))
    st.subheader("Settings")
    if len(runs) > 1 and other.rows:
        st.caption("Those that differ; bold where one is not as in run 1.")
        _table(_bold(other), "Settings that differ between the runs", escaped=True)
    elif len(runs) > 1:
        st.caption("All settings are the same.")
    with st.expander(f"{len(same.rows)} settings that are the same" if len(runs) > 1 else "All settings"):
        _table(same, "Settings that are the same in all runs")


@lru_cache(maxsize=MOST_KEPT)
def _settings(runs: tuple[Run, ...]) -> tuple[Table, Table]:
    return tables.settings_tables(runs)


def _bold(table: Table) -> Table:
    rows = [
        [
            plain(str(key)),
            plain(str(first)),
            *(f"**{plain(str(one))}**" if one != first else plain(str(one)) for one in rest),
        ]
        for key, first, *rest in table.rows
    ]
    return Table(columns=table.columns, rows=rows)


def _table(table: Table, alt: str, *, escaped: bool = False) -> None:
    """A table of the page; its cells are markdown to Streamlit, so marks are taken from them unless they were put there."""
    heads = [plain(str(head)) or " " for head in table.columns]
    rows = [
        {head: str(cell) if escaped else plain(str(cell)) for head, cell in zip(heads, row, strict=True)}
        for row in table.rows
    ]
    st.table(rows, border="horizontal", hide_index=True, alt=alt)
