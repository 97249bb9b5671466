"""What is said of a run: verdicts, numbers, and how a prediction compares."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dropviz.lessons import Choose, Curves, Draw, Lesson, Measured, read_lesson
from dropviz.lessons.figures import curves, prediction
from dropviz.lessons.outcome import chosen, compared, few, given_values, judgements, numbers, results, verdict
from tests.lessons.samples import CHOOSE, HEAD, values, write

MEASURED = Measured(values=values(none=0.5, dropout=0.8), seeds=3)


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return read_lesson(write(tmp_path))


def test_effects_are_judged_by_the_rule_of_claims(lesson: Lesson) -> None:
    (found,) = judgements(lesson, MEASURED, lesson.spec)
    assert (found.verdict, found.n, found.unit) == ("green", 3, "points")
    other = Measured(values=values(none=0.8, dropout=0.5), seeds=3)
    assert verdict(judgements(lesson, other, lesson.spec)) == "red"
    with pytest.raises(LookupError, match="dropout has no test/accuracy"):
        judgements(lesson, Measured(values=values(none=0.8)), lesson.spec)


def test_symbols_have_their_numbers(lesson: Lesson) -> None:
    gain, p = numbers(lesson, MEASURED, lesson.spec)
    assert gain.value.endswith("points")
    assert "[" in gain.value
    assert p.value == "0.5"
    assert numbers(lesson, Measured(values={}), lesson.spec)[0].value == "not measured"


def test_few_seeds_are_an_anecdote() -> None:
    assert "anecdote" in few(Measured(values={}, seeds=2))
    assert few(MEASURED) == ""


def test_a_drawn_prediction_is_compared_where_it_is_furthest_off(lesson: Lesson) -> None:
    draw = lesson.predict
    assert isinstance(draw, Draw)
    found = results(draw, MEASURED)
    there = [one.estimate for one in found]
    assert [round(value) for value in there] == [17, 49, 81]
    assert (
        compared(draw, there, found)
        == "Your curve and the result run together: each of your points lies close to it."
    )
    said = compared(draw, [there[0], there[1], 30], found)
    assert (
        said
        == "2 of your 3 points lie close to the result. They are furthest apart at 40: you drew 30, here it is 81."
    )
    assert compared(draw, [90, 90, 5], found).startswith("They are furthest apart at 40")


def test_lines_that_are_given_are_read_at_the_same_places(lesson: Lesson) -> None:
    draw = lesson.predict
    assert isinstance(draw, Draw)
    (line,) = given_values(draw, MEASURED)
    assert line == pytest.approx([11, 31, 51])


def test_a_chosen_option_is_compared_with_what_came(tmp_path: Path) -> None:
    choose = read_lesson(write(tmp_path, predict=CHOOSE)).predict
    assert isinstance(choose, Choose)
    assert chosen(choose, 2, MEASURED)[1].startswith("As you said: It rises. It is 3")
    number, said = chosen(choose, 0, MEASURED)
    assert number == 2
    assert said.startswith("You said: It falls. It came out otherwise: It rises.")
    assert chosen(choose, -1, MEASURED)[1].startswith("It rises.")


def test_perplexity_is_that_of_the_mean_loss(tmp_path: Path) -> None:
    text = (
        HEAD["predict"]
        .replace("factor = 100", "perplexity = true")
        .replace("validation/accuracy", "validation/loss")
    )
    draw = read_lesson(write(tmp_path, predict=text)).predict
    assert isinstance(draw, Draw)
    losses = MEASURED.values["dropout", "validation/loss"][40].values()
    assert results(draw, MEASURED)[-1].estimate == pytest.approx(math.exp(sum(losses) / 3))


def test_the_chart_has_prediction_result_and_what_was_given(lesson: Lesson) -> None:
    draw = lesson.predict
    assert isinstance(draw, Draw)
    picture = prediction(draw, [10.0, 20.0, 30.0], MEASURED)
    assert [trace.name for trace in picture.chart.data if trace.showlegend is not False] == [
        "none",
        "dropout",
        "your prediction",
    ]
    assert picture.rows[0] == ["step", "your prediction", "dropout", "95 % interval"]
    assert len(picture.rows) == 4
    assert "The prediction went from 10 to 30" in picture.alt
    assert "prediction" not in prediction(draw, [], MEASURED).alt


def test_a_chart_over_steps_has_a_row_a_point(lesson: Lesson) -> None:
    chart: Curves = lesson.charts[0]
    picture = curves(chart, MEASURED)
    assert [row[:2] for row in picture.rows[1:3]] == [["none", "0"], ["none", "10"]]
    assert len(picture.rows) == 1 + 5


def test_measured_values_survive_their_table() -> None:
    again = Measured.from_table(MEASURED.to_table())
    assert again.seeds == 3
    for key, by_step in MEASURED.values.items():
        for step, found in by_step.items():
            assert again.values[key][step] == pytest.approx(found, rel=1e-5)
