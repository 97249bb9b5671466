"""Charts over several runs: plotly finds them right, arms keep their look, and runs are told apart."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from dropviz.charts import arm_style
from dropviz.charts.compared import (
    MOST_BANDS,
    MOST_NUMBERED,
    Bar,
    Line,
    against_cost,
    differences,
    overlay,
)


def line(run: int, arm: str, level: float = 0.5, *, stopped: bool = False) -> Line:
    mean = (level + np.linspace(0, 0.2, 11)).astype(np.float32)
    x = np.arange(11, dtype=np.float32)
    return Line(run=run, arm=arm, x=x, mean=mean, lower=mean - 0.1, upper=mean + 0.1, stopped=stopped)


def checked(figure: go.Figure) -> list[dict]:
    """The traces of a figure, once plotly's validators have read all of it."""
    table = json.loads(figure.to_json())
    go.Figure(table)
    return table["data"]


RUNS = [1, 2]
LINES = [line(run, arm, 0.1 * run) for run in RUNS for arm in ("none", "dropout")]


@pytest.mark.parametrize("panels", ["one", "by arm", "by run"])
@pytest.mark.parametrize("log", [False, True])
def test_plotly_finds_every_overlay_right(panels: str, log: bool) -> None:
    traces = checked(overlay(LINES, RUNS, x="step", y="validation accuracy", log=log, panels=panels))  # type: ignore[arg-type]
    drawn = [trace for trace in traces if trace["mode"] == "lines+markers"]
    assert len(drawn) == 4
    axes = {trace["xaxis"] for trace in drawn}
    assert axes == ({"x"} if panels == "one" else {"x", "x2"})


def test_an_arm_keeps_its_look_and_runs_differ_in_filling_faintness_and_number() -> None:
    traces = checked(overlay(LINES, RUNS, x="step", y="loss", log=False))
    first, second = (trace for trace in traces if trace["name"] == "dropout")
    style = arm_style("dropout")
    assert {trace["line"]["color"] for trace in (first, second)} == {style.light}
    assert {trace["line"]["dash"] for trace in (first, second)} == {style.dash}
    assert (first["marker"]["symbol"], second["marker"]["symbol"]) == (style.marker, f"{style.marker}-open")
    assert first["opacity"] > second["opacity"]
    assert (first["showlegend"], second["showlegend"]) == (True, False)
    assert [trace["text"] for trace in traces if trace["mode"] == "text"] == [["1"], ["1"], ["2"], ["2"]]


def test_numbers_of_lines_that_end_side_by_side_are_moved_apart() -> None:
    same = [line(run, "none") for run in (1, 2, 3)]
    traces = checked(overlay(same, [1, 2, 3], x="step", y="loss", log=False))
    heights = sorted(trace["y"][0] for trace in traces if trace["mode"] == "text")
    assert heights[1] - heights[0] > 0.005
    assert np.mean(heights) == pytest.approx(0.7)


def test_a_line_that_stopped_says_so() -> None:
    traces = checked(overlay([line(1, "none", stopped=True)], [1], x="step", y="loss", log=False))
    assert [trace["text"] for trace in traces if trace["mode"] == "text"] == [["✕ stopped"]]


def test_many_lines_have_neither_bands_nor_numbers() -> None:
    runs = list(range(1, MOST_NUMBERED + 2))
    few = checked(
        overlay([line(run, "none") for run in runs[:MOST_BANDS]], runs[:MOST_BANDS], x="", y="", log=False)
    )
    many = checked(overlay([line(run, "none") for run in runs], runs, x="", y="", log=False))
    assert sum("fill" in trace for trace in few) == MOST_BANDS
    assert len(many) == len(runs)


def test_differences_are_rows_hollow_without_pairs() -> None:
    bars = [
        Bar(run=1, arm="none", value=-0.05, lower=-0.07, upper=-0.03, paired=True),
        Bar(run=2, arm="dropout", value=0.01, lower=None, upper=None, paired=False),
    ]
    first, second = checked(differences(bars, RUNS, reference="1 · dropout", x="points", factor=100))
    assert (first["x"], first["error_x"]["arrayminus"][0]) == ([-5.0], pytest.approx(2.0))
    assert second["marker"]["symbol"].endswith("-open")
    assert "error_x" not in second


def test_the_mark_of_equal_cost_is_where_the_budget_is_on_a_logarithmic_axis() -> None:
    figure = against_cost(LINES, RUNS, x="seconds", y="loss", budget=100.0, log=False)
    checked(figure)
    layout = json.loads(figure.to_json())["layout"]
    assert layout["xaxis"]["type"] == "log"
    assert (layout["shapes"][0]["x0"], layout["annotations"][0]["x"]) == (100.0, 2.0)
