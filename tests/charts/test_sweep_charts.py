"""The charts of a sweep show the numbers of its cells, where they belong."""

from __future__ import annotations

import pytest

from dropviz.analysis import Interval
from dropviz.charts import dark_partners
from dropviz.charts.against_knob import Line, against_knob
from dropviz.charts.heat_map import heat_map
from dropviz.charts.small_multiples import small_multiples
from dropviz.experiment import preset
from dropviz.sweeps import Axis, Cell, Sweep, measure_named, measures
from dropviz.sweeps.words import brief, key_of_marks, told

BASE = preset("classroom")
GAIN, SCORE, RATIO = (measure_named(BASE, name) for name in ("gain", "score:dropout", "ratio"))


def sweep(**values: list[object]) -> Sweep:
    return Sweep(base=BASE, axes=[Axis(key=key, values=found) for key, found in values.items()])


def cell(estimate: float, width: float = 0.01) -> Cell:
    interval = Interval(estimate=estimate, lower=estimate - width, upper=estimate + width)
    return Cell(interval=interval, n=6, distinct=abs(estimate) > width)


MAP = sweep(p=[0.1, 0.5, 0.9], depth=[1, 2])
CELLS = [cell(0.01 * position) for position in range(5)] + [Cell(reason="dropout failed. It diverged.")]


def test_a_map_has_the_first_knob_across_and_the_second_up() -> None:
    figure = heat_map(MAP, GAIN, CELLS)
    trace, empty = figure.data
    assert (list(trace.x), list(trace.y)) == (["0.1", "0.5", "0.9"], ["1", "2"])
    for position, (p, depth) in enumerate(MAP.places()):
        row, column = list(trace.y).index(str(depth)), list(trace.x).index(f"{p:g}")
        assert trace.customdata[row][column] == position
        assert trace.hovertext[row][column] == told(GAIN, CELLS[position])
    assert trace.hovertemplate.startswith("p = %{x}, depth = %{y}<br>%{hovertext}")
    assert [list(line) for line in trace.z] == [[0.0, 2.0, 4.0], [1.0, 3.0, None]]
    assert [list(line) for line in trace.text] == [["0.0", "2.0*", "4.0*"], ["1.0", "3.0*", ""]]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("Drop probability p", "Depth")
    assert trace.zmid == 0
    assert (list(empty.x), list(empty.y), list(empty.customdata)) == (["0.9"], ["2"], [5])
    assert empty.hovertext == ("p = 0.9, depth = 2<br>dropout failed. It diverged.",)
    assert empty.text == ("✕",)
    assert list(figure.layout.xaxis.categoryarray) == ["0.1", "0.5", "0.9"]


def test_a_map_of_many_columns_leaves_the_numbers_to_the_table() -> None:
    wide = sweep(p=[0.01 * step for step in range(20)], depth=[1, 2])
    assert heat_map(wide, SCORE, [cell(0.5)] * 40).data[0].texttemplate is None
    assert heat_map(MAP, SCORE, CELLS).data[0].texttemplate == "%{text}"


@pytest.mark.parametrize("measure", measures(BASE), ids=lambda measure: measure.name)
def test_every_colour_has_its_partner_on_a_dark_page(measure) -> None:
    colors = [color for _, color in heat_map(MAP, measure, CELLS).data[0].colorscale]
    assert set(colors) <= dark_partners().keys()


def test_a_number_is_told_with_interval_and_n_or_why_there_is_none() -> None:
    assert told(GAIN, cell(0.083, 0.006)) == "8.3 [7.7, 8.9] n = 6"
    assert told(GAIN, cell(-0.0001, 0.006)) == "0.0 [−0.6, 0.6] n = 6"
    assert told(GAIN, CELLS[-1]) == "dropout failed. It diverged."
    assert told(GAIN, Cell(interval=Interval(estimate=0.05), n=2)) == "5.0 n = 2"
    assert (brief(RATIO, cell(0.913)), brief(GAIN, Cell())) == ("0.91*", "–")
    assert key_of_marks(RATIO) == "* the 95 % interval excludes 1.00"
    assert key_of_marks(SCORE) == ""


def test_lines_have_a_band_and_the_look_of_their_arm() -> None:
    line = Line(measure=SCORE, cells=CELLS[:3])
    figure = against_knob(sweep(p=[0.1, 0.5, 0.9]), [line], "test accuracy in %")
    band, points = figure.data
    assert (list(points.x), list(points.y)) == ([0.1, 0.5, 0.9], [0.0, 1.0, 2.0])
    assert list(band.y) == pytest.approx([-1, 0, 1, 3, 2, 1])
    assert list(points.customdata) == [0, 1, 2]
    assert (points.name, points.line.color) == ("dropout", "#0072b2")
    assert figure.layout.xaxis.type == "linear"


def test_values_over_powers_of_ten_have_a_logarithmic_axis_with_ticks_at_themselves() -> None:
    rates = Sweep(base=BASE, axes=[Axis(key="train.learning_rate", values=(0.001, 0.01, 0.1))])
    axis = against_knob(rates, [Line(measure=GAIN, cells=CELLS[:3])], "").layout.xaxis
    assert (axis.type, list(axis.tickvals), list(axis.ticktext)) == (
        "log",
        [0.001, 0.01, 0.1],
        ["0.001", "0.01", "0.1"],
    )


def test_a_panel_without_any_number_says_why() -> None:
    cells = [Cell(reason="no gain to share"), Cell(reason="no gain to share"), Cell(reason="waiting")]
    (note,) = against_knob(
        sweep(p=[0.1, 0.5, 0.9]), [Line(measure=RATIO, cells=cells)], ""
    ).layout.annotations
    assert note.text == "no gain to share"


def test_words_have_points_with_error_bars_and_a_missing_cell_a_gap() -> None:
    words = Sweep(base=BASE, axes=[Axis(key="model.activation", values=("relu", "tanh"))])
    figure = against_knob(words, [Line(measure=GAIN, cells=[cell(0.05, 0.02), CELLS[-1]])], "")
    (points,) = figure.data
    assert (list(points.x), list(points.y)) == (["relu", "tanh"], [5.0, None])
    assert list(points.error_y.array) == pytest.approx([2.0, 0.0])
    assert figure.layout.shapes[0].y0 == 0


def test_small_multiples_have_a_panel_for_each_value_of_the_second_knob_on_one_scale() -> None:
    figure = small_multiples(MAP, [(GAIN, CELLS)])
    points = [trace for trace in figure.data if trace.customdata is not None]
    assert [trace.xaxis for trace in points] == ["x", "x2"]
    for depth, trace in zip(MAP.axes[1].values, points, strict=True):
        for p, position, y in zip(trace.x, trace.customdata, trace.y, strict=True):
            assert MAP.places()[position] == (p, depth)
            interval = CELLS[position].interval
            assert y == (None if interval is None else 100 * interval.estimate)
    assert [one.text for one in figure.layout.annotations] == ["depth = 1", "depth = 2"]
    assert figure.layout.yaxis2.matches == "y"
    assert [shape.yref for shape in figure.layout.shapes] == ["y", "y2"]
    assert not figure.layout.showlegend


def test_small_multiples_of_scores_name_each_arm_once_and_say_why_a_panel_is_empty() -> None:
    waiting = [Cell(reason="waiting")] * 6
    scores = [measure for measure in measures(BASE) if measure.name.startswith("score:")][:2]
    figure = small_multiples(MAP, [(scores[0], CELLS), (scores[1], CELLS)])
    named = [
        trace.name for trace in figure.data if trace.customdata is not None and trace.showlegend is not False
    ]
    assert len(named) == len(set(named)) == 2
    assert figure.layout.showlegend
    empty = small_multiples(MAP, [(GAIN, waiting)]).layout.annotations
    assert [(one.text, one.xref) for one in empty if one.text == "waiting"] == [
        ("waiting", "x domain"),
        ("waiting", "x2 domain"),
    ]
