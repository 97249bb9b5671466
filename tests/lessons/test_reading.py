"""Lessons as files: what is read, what replaces what, and one clear sentence about each mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dropviz.choices import Choices, SpecError
from dropviz.lessons import Choose, Curves, Draw, Lesson, Link, entries, entry, read_lesson
from dropviz.lessons.lesson import Amount, Effect, Equation, Experiment, Line, Place, Symbol
from tests.lessons.samples import BODY, CHOOSE, HEAD, write

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "lessons.md").read_text("utf-8")
EXAMPLE = re.compile(r"^```markdown\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A teacher's folder."""
    monkeypatch.setenv("DROPVIZ_LESSONS", str(tmp_path))
    return tmp_path


def test_a_file_is_a_lesson(tmp_path: Path) -> None:
    lesson = read_lesson(write(tmp_path))
    assert (lesson.name, lesson.title, lesson.minutes) == ("small", "A small lesson", 5)
    assert lesson.texts == {"Idea": "An idea.", "Explanation": "An explanation.", "Next": "The next one."}
    assert lesson.spec.train.steps == 40
    assert ("dropout", "validation/accuracy") in lesson.terms()


def test_a_lesson_may_ask_to_choose(tmp_path: Path) -> None:
    predict = read_lesson(write(tmp_path, predict=CHOOSE)).predict
    assert isinstance(predict, Choose)
    assert [predict.option_of(value) for value in (-9, -5, 0, 5, 9)] == [0, 1, 1, 2, 2]


MISTAKES = [
    ({"top": 'title = "T"\nclaim = "C"'}, "minutes is missing: add it."),
    ({"top": HEAD["top"] + "\npictrues = true"}, "pictrues is not a setting: did you mean 'pictures'?"),
    ({"top": HEAD["top"] + "\nfeatures = true"}, "features = true needs the model linear and two classes"),
    ({"top": HEAD["top"] + "\npictures = true"}, "pictures = true needs points in the plane"),
    ({"top": 'title = "T'}, "the head is not valid TOML"),
    ({"experiment": '[experiment]\npreset = "digit"'}, "'digit' is not a preset"),
    (
        {"experiment": HEAD["experiment"].replace("train.steps", "train.stpes")},
        "train.stpes is not a setting: did you mean 'steps'?",
    ),
    ({"effects": HEAD["effects"].replace("better", "beter")}, "'beter' is not a kind of claim"),
    (
        {"effects": HEAD["effects"].replace('"none"', '"dropout-2"')},
        "'dropout-2' is not a known arm of this lesson's experiment",
    ),
    ({"effects": HEAD["effects"].replace("metric", "# metric")}, "effects need a metric"),
    ({"predict": HEAD["predict"].replace("[0, 20, 40]", "[40, 20, 0]")}, "let them rise"),
    (
        {"predict": HEAD["predict"].replace("[0, 20, 40]", "[0, 40]")},
        "predict has 2 points to draw: give 3 to 8",
    ),
    ({"predict": HEAD["predict"].replace("[0, 100]", "[100, 0]")}, "give a low and a high end"),
    (
        {"predict": HEAD["predict"].replace("dropout validation/accuracy", "dropout")},
        "'dropout' is not a quantity",
    ),
    ({"predict": CHOOSE.replace("[-5, 5]", "[5]")}, "does not split 3 options: give 2 rising numbers"),
    ({"links": HEAD["links"].replace("p=0.2", "p=2")}, "p = 2 is not possible"),
    ({"links": HEAD["links"].replace('"lab"', '"laboratory"')}, "choose 'lab'"),
    ({"equation": HEAD["equation"].replace("gain", "<img src=x onerror=alert(1)>")}, "looks like HTML"),
    ({"body": BODY.replace("# Next", "# Later")}, "'# Next' is missing or empty"),
    ({"body": BODY.replace("An idea.", "An <script>alert(1)</script> idea.")}, "looks like HTML"),
    ({"body": "Hello\n" + BODY}, "text stands before the first section"),
]


@pytest.mark.parametrize(("change", "said"), MISTAKES)
def test_a_mistake_is_one_sentence_that_names_the_file(
    tmp_path: Path, change: dict[str, str], said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        read_lesson(write(tmp_path, **change))
    text = str(caught.value)
    assert text.startswith("01-small.md: ")
    assert said in text
    assert "\n" not in text


def test_a_line_of_toml_is_named_as_it_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "01-small.md"
    path.write_text("+++\ntitle = 'a'\nclaim = = 2\n+++\n" + BODY, encoding="utf-8")
    with pytest.raises(SpecError, match="line 3"):
        read_lesson(path)


@pytest.mark.parametrize("text", ["", "# Idea\n", "+++\ntitle = 1\n"])
def test_a_file_without_a_head_says_how_to_begin(tmp_path: Path, text: str) -> None:
    path = tmp_path / "01-small.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=r"begin the file with a line \+\+\+"):
        read_lesson(path)


def test_own_lessons_come_beside_ours_and_replace_those_of_the_same_name(own: Path) -> None:
    ours = {one.name for one in entries()}
    write(own, "05-small")
    write(own, "03-boundary")
    (own / "notes.md").write_text("not a lesson", encoding="utf-8")
    found = entries()
    assert {one.name for one in found} == ours | {"small"}
    assert [one.number for one in found] == sorted(one.number for one in found)
    assert entry("boundary").title == "A small lesson"


def test_a_broken_file_stands_for_itself_alone(own: Path) -> None:
    write(own, top="title = 1")
    broken = entry("small")
    assert broken.lesson is None
    assert broken.problem.startswith("01-small.md: ")
    assert all(one.lesson for one in entries() if one.name != "small")


def test_an_edit_shows_at_the_next_look(own: Path) -> None:
    write(own)
    assert entry("small").title == "A small lesson"
    write(own, top='title = "Another title"\nclaim = "C"\nminutes = 5')
    assert entry("small").title == "Another title"


def test_a_folder_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_LESSONS", "/nowhere")
    with pytest.raises(ValueError, match="DROPVIZ_LESSONS = '/nowhere' is not a directory"):
        entries()


def test_the_example_in_the_document_is_a_lesson(tmp_path: Path) -> None:
    path = tmp_path / "11-clean.md"
    path.write_text(EXAMPLE.search(DOCUMENT).group(1), encoding="utf-8")  # type: ignore[union-attr]
    assert read_lesson(path).title == "Does dropout help on clean data?"


@pytest.mark.parametrize(
    "part", [Amount, Choose, Curves, Draw, Effect, Equation, Experiment, Lesson, Line, Link, Place, Symbol]
)
def test_the_document_names_every_key(part: type[Choices]) -> None:
    for key in part.model_fields.keys() - {"name", "texts"}:
        assert re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", DOCUMENT), key
