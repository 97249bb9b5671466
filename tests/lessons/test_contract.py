"""Every lesson that comes with the program: complete, runnable, and recorded with the effect that it teaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropviz import uploads
from dropviz.budget import check_budget
from dropviz.experiment import ExperimentSpec
from dropviz.lessons import Draw, Entry, entries, entry, recorded, result_path
from dropviz.lessons.figures import boundaries, curves, prediction
from dropviz.lessons.outcome import chosen, given_values, judgements, numbers, results, verdict

ENTRIES = entries()
lesson_of = pytest.mark.parametrize("one", ENTRIES, ids=[one.name for one in ENTRIES])
FEWEST_SEEDS = 8  # of a record


def test_there_are_ten_and_they_fill_a_lecture() -> None:
    assert len(ENTRIES) == 10
    assert [int(one.number) for one in ENTRIES] == list(range(1, 11))
    assert sum(one.lesson.minutes for one in ENTRIES if one.lesson) <= 90


@lesson_of
def test_a_lesson_reads_runs_and_goes_on(one: Entry) -> None:
    lesson = one.lesson
    assert lesson is not None, one.problem
    assert lesson.claim.endswith(".")
    assert 5 <= lesson.minutes <= 8
    for spec in (
        lesson.spec,
        lesson.recorded_spec,
        *(lesson.spec.with_settings(link.settings) for link in lesson.links),
    ):
        check_budget(spec)
    assert {symbol.tex for symbol in lesson.equation.symbols}
    assert any(symbol.amount for symbol in lesson.equation.symbols)


@lesson_of
def test_its_record_is_of_the_lesson_as_it_is(one: Entry) -> None:
    assert recorded(one) is not None, (
        f"{result_path(one).name} is out of date: run dropviz lessons --check {one.name}"
    )


@lesson_of
def test_its_effects_hold_in_the_record(one: Entry) -> None:
    lesson, known = one.lesson, recorded(one)
    assert lesson is not None
    assert known is not None
    assert known.measured.seeds >= FEWEST_SEEDS
    again = judgements(lesson, known.measured, lesson.recorded_spec)
    assert [found.to_table() for found in again] == [found.to_table() for found in known.judgements]
    assert verdict(again) == "green", [found.sentence for found in again]


@lesson_of
def test_all_that_it_shows_is_in_the_record(one: Entry) -> None:
    lesson, known = one.lesson, recorded(one)
    assert lesson is not None
    assert known is not None
    measured, spec = known.measured, lesson.recorded_spec
    assert isinstance(spec, ExperimentSpec)
    assert "not measured" not in {number.value for number in numbers(lesson, measured, spec)}
    for chart in lesson.charts:
        assert len(curves(chart, measured).rows) > 2
    if lesson.pictures:
        assert len(boundaries(spec, measured).rows) == 1 + len(spec.arms)
    if not isinstance(lesson.predict, Draw):
        assert chosen(lesson.predict, 0, measured)[1]
        return
    low, high = lesson.predict.range
    found = [interval.estimate for interval in results(lesson.predict, measured)]
    shown = [*found, *(value for line in given_values(lesson.predict, measured) for value in line)]
    assert all(low <= value <= high for value in shown), shown
    assert prediction(lesson.predict, [], measured).rows[0][1] == lesson.predict.label


def test_the_records_are_small() -> None:
    sizes = {one.name: result_path(one).stat().st_size for one in ENTRIES}
    assert max(sizes.values()) < 200_000, sizes


@pytest.mark.parametrize("target", ["words", "numbers"])
def test_the_lesson_on_own_data_takes_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path))
    rows = [f"{n},{n % 7},{n * 1.37 if target == 'numbers' else 'ab'[n % 2]}" for n in range(60)]
    digest = uploads.keep("\n".join(["x,y,label", *rows]).encode(), "csv")
    lesson = entry("own-data").lesson
    assert lesson is not None
    spec = lesson.on_file(digest)
    check_budget(spec)
    assert (spec.data.name, spec.arms) == ("csv", lesson.spec.arms)
    assert spec.data.task.kind == ("regression" if target == "numbers" else "classification")
