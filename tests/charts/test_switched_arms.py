"""Arms that switch in charts: a line where they do, a look and a name of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dropviz.charts import arm_style, charts
from tests.charts.subjects import SUBJECTS, named

FORKS = ("dropout@30:explicit+implicit", "dropout@60:none@1200:explicit")
SUBJECT = replace(SUBJECTS["plane"], arms=("none", "dropout", "explicit+implicit", *FORKS), steps=1500)


@pytest.mark.parametrize("chart", charts(), ids=lambda chart: chart.name)
def test_charts_over_steps_mark_the_steps_at_which_arms_switch(chart) -> None:
    figure = chart.figure(SUBJECT)
    figure.to_json()
    over_steps = figure.layout.xaxis.title.text == "step"
    marks = [(shape.x0, shape.label.text) for shape in figure.layout.shapes]
    expected = [(30, "switch at 30"), (60, "switch at 60"), (1200, "switch at 1,200")]
    assert marks == (expected if over_steps else [])


def test_a_label_stands_where_there_is_room() -> None:
    shapes = named("loss").figure(SUBJECT).layout.shapes
    assert [shape.label.xanchor for shape in shapes] == ["left", "left", "right"]


def test_without_such_arms_nothing_is_marked() -> None:
    assert named("loss").figure(SUBJECTS["plane"]).layout.shapes == ()


def test_an_arm_that_switches_has_the_colour_of_the_last_and_dash_and_marker_of_its_own() -> None:
    fork, last = arm_style(FORKS[0]), arm_style("explicit+implicit")
    assert (fork.light, fork.dark) == (last.light, last.dark)
    assert arm_style(FORKS[1]).light == arm_style("explicit").light
    looks = [(style.dash, style.marker) for style in map(arm_style, SUBJECT.arms)]
    assert len(set(looks)) == len(SUBJECT.arms)
    assert arm_style("dropout@30:explicit+implicit") == fork


def test_people_read_its_name_in_words() -> None:
    figure = named("ladder").figure(SUBJECT)
    assert figure.layout.yaxis.ticktext[-2:] == (
        "dropout until 30,<br>then explicit+implicit",
        "dropout until 60,<br>then none until 1,200,<br>then explicit",
    )
    names = {trace.name for trace in named("loss").figure(SUBJECT).data if trace.meta["role"] == "line"}
    assert "dropout until 30, then explicit+implicit" in names
