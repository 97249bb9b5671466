"""A person's own table: read as it was meant, or refused with a sentence that names the row or the column."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_iris

from dropviz import uploads
from dropviz.choices import SpecError
from dropviz.datasets import Splits, registry
from dropviz.datasets.csv import Csv
from dropviz.datasets.table import read_table

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DROPVIZ_DATA", str(tmp_path_factory.mktemp("data")))
        patch.delenv("DROPVIZ_FILES", raising=False)
        yield uploads.folder()


def lines(header: str, rows: Sequence[str]) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def numbered(count: int = 40, **columns: Sequence[object]) -> bytes:
    """A table with a column ``a`` of the numbers from 0 on, and these columns behind it."""
    cells = [range(count), *columns.values()]
    return lines(",".join(["a", *columns]), [",".join(map(str, row)) for row in zip(*cells, strict=False)])


YES_NO = ["yes" if row % 3 else "no" for row in range(40)]


def kept(content: bytes, **knobs: object) -> Csv:
    return Csv.from_table({"file": uploads.keep(content, "csv"), **knobs})


def refused(content: bytes, **knobs: object) -> str:
    with pytest.raises(SpecError) as caught:
        read_table(content, **knobs)
    return str(caught.value)


def iris() -> tuple[np.ndarray, list[str]]:
    bunch = load_iris()
    return bunch.data, [bunch.target_names[label] for label in bunch.target]


def iris_file(delimiter: str = ",", newline: str = "\n", start: bytes = b"") -> bytes:
    x, y = iris()
    rows = [delimiter.join([*map(str, row), label]) for row, label in zip(x.tolist(), y, strict=True)]
    return start + newline.join([delimiter.join(["a", "b", "c", "d", "species"]), *rows]).encode()


# What a file means.


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n \n"], ids=["plain", "BOM", "blank lines"])
def test_every_usual_form_of_csv_is_read(delimiter: str, newline: str, start: bytes) -> None:
    table = read_table(iris_file(delimiter, newline, start))
    x, y = iris()
    assert table.features == ("a", "b", "c", "d")
    assert table.classes == ("setosa", "versicolor", "virginica")
    assert [table.classes[label] for label in table.y] == y
    for column in range(4):
        assert np.corrcoef(table.x[:, column], x[:, column])[0, 1] == pytest.approx(1, abs=1e-6)
    assert np.abs(table.x).max(axis=0) == pytest.approx(1)


def test_quoted_values_may_hold_delimiters_quotes_and_line_breaks() -> None:
    texts = ['"x, ""y"""', '"two\nlines"', "plain"]
    rows = [f"{row},{texts[row % 3]},{row % 2}" for row in range(30)]
    table = read_table(lines('"the, number",text,label', rows))
    assert table.features == ("the, number", "text=plain", "text=two\nlines", 'text=x, "y"')
    np.testing.assert_array_equal(table.x[:, 1:].sum(axis=1), 1)
    np.testing.assert_array_equal(table.x[:, 3], np.arange(30) % 3 == 0)


def test_between_semicolons_a_comma_is_a_decimal_mark() -> None:
    rows = [f"{row},5;{row % 2}" for row in range(30)]
    table = read_table(lines("size;label", rows))
    expected = np.arange(30) - 14.5
    np.testing.assert_allclose(table.x[:, 0], expected / expected.max(), atol=1e-6)


def test_the_label_is_the_last_column_or_the_one_that_is_named() -> None:
    content = numbered(b=[row % 4 for row in range(40)], c=YES_NO)
    assert read_table(content).classes == ("no", "yes")
    named = read_table(content, label="b")
    assert named.classes == ("0", "1", "2", "3")
    assert named.features == ("a", "c=no", "c=yes")


@pytest.mark.parametrize(
    ("labels", "problem", "classes"),
    [
        ([row % 20 for row in range(60)], "auto", 20),
        ([row % 21 for row in range(84)], "auto", 0),
        ([row % 2 / 2 for row in range(40)], "auto", 0),
        ([row % 2 / 2 for row in range(40)], "classification", 2),
        ([row % 2 for row in range(40)], "regression", 0),
        (["1", "1.0", "2", "2e0"] * 10, "auto", 2),
        (["10", "9", "-1"] * 10, "auto", 3),
        ([f"level {row % 100}" for row in range(300)], "auto", 100),
    ],
)
def test_auto_takes_texts_and_few_whole_numbers_for_classes(
    labels: list[object], problem: str, classes: int
) -> None:
    table = read_table(numbered(len(labels), label=labels), problem=problem)
    assert len(table.classes) == classes
    assert table.y.shape == ((len(labels),) if classes else (len(labels), 1))


def test_classes_that_are_numbers_are_in_the_order_of_numbers() -> None:
    assert read_table(numbered(30, label=["10", "9", "-1"] * 10)).classes == ("-1", "9", "10")


# The data set.


def test_a_classification_keeps_the_contract_of_data_sets() -> None:
    data = kept(iris_file())
    assert (data.task.kind, data.task.shape, data.task.outputs) == ("classification", (4,), 3)
    assert data.missing() == ""
    assert registry.read(data.to_table()) == data
    splits = data.load(0)
    sizes = [len(getattr(splits, f"y_{name}")) for name in SPLITS]
    assert sizes == [90, 30, 30]
    for name in SPLITS:
        one, labels = getattr(splits, f"x_{name}"), getattr(splits, f"y_{name}")
        assert (one.dtype, labels.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(np.bincount(labels), len(labels) / 3)
    np.testing.assert_allclose(splits.x_train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(splits.x_train.std(axis=0), 1, atol=1e-5)
    again, other = data.load(0), data.load(1)
    np.testing.assert_array_equal(splits.x_train, again.x_train)
    assert (splits.x_train != other.x_train).any()


def test_a_regression_is_the_same_as_the_packaged_one() -> None:
    from dropviz.datasets.diabetes import Diabetes

    x, y = load_diabetes(return_X_y=True, scaled=False)
    names = ",".join(f"f{column}" for column in range(10))
    rows = [",".join(map(repr, [*row, target])) for row, target in zip(x.tolist(), y.tolist(), strict=True)]
    data = kept(lines(f"{names},y", rows), train_share=200 / 442)
    theirs = Diabetes(train_size=200).load(3)
    assert data.task == Diabetes().task
    for name, array in vars(data.load(3)).items():
        np.testing.assert_allclose(array, getattr(theirs, name), atol=2e-5)


def test_label_noise_touches_training_labels_only() -> None:
    clean, noisy = kept(iris_file()).load(0), kept(iris_file(), label_noise=1.0).load(0)
    differing = [name for name in vars(clean) if (getattr(clean, name) != getattr(noisy, name)).any()]
    assert differing == ["y_train"]


def test_every_class_is_trained_on_even_the_rarest_one() -> None:
    labels = ["rare"] * 3 + ["one"] * 150 + ["two"] * 47
    data = kept(numbered(200, label=labels), train_share=0.1)
    for seed in range(20):
        assert set(data.load(seed).y_train) == {0, 1, 2}


def test_columns_without_variation_and_huge_or_tiny_numbers_stay_finite() -> None:
    count = 60
    columns = {
        "constant": [7.1] * count,
        "zero": [0] * count,
        "huge": [1e308 * (-1) ** row for row in range(count)],
        "tiny": [5e-324 * row for row in range(count)],
        "once": [1e300] + [row * 1e-12 for row in range(count - 1)],
        "late": [1e15 + row for row in range(count)],
        "label": [row % 2 for row in range(count)],
    }
    data = kept(numbered(count, **columns))
    for seed in range(5):
        splits = data.load(seed)
        for name in SPLITS:
            x = getattr(splits, f"x_{name}")
            assert np.isfinite(x).all()
            assert np.isfinite(x**2).all()
            assert (x[:, [1, 2]] == 0).all()
        np.testing.assert_allclose(splits.x_train[:, [0, 3, 6]].std(axis=0), 1, atol=1e-4)
        np.testing.assert_allclose(splits.x_train[:, 0], splits.x_train[:, 6], atol=1e-4)


def test_the_source_is_the_hash_of_the_content_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_FILES", str(tmp_path))
    path = tmp_path / "mine.csv"
    path.write_bytes(iris_file())
    data = Csv(file="mine.csv")
    assert data.source() == kept(iris_file()).source() == hashlib.sha256(iris_file()).hexdigest()
    path.write_bytes(iris_file(";"))
    assert data.source() == hashlib.sha256(iris_file(";")).hexdigest()
    path.unlink()
    assert "is not a file below DROPVIZ_FILES" in data.missing()


def test_what_is_wrong_is_said_by_missing_and_raised_by_loading() -> None:
    assert Csv().missing().startswith("No file is chosen: upload one")
    for data in (Csv(), Csv(file="0" * 64), Csv(file="../x"), kept(b"hello"), kept(iris_file(), label="e")):
        with pytest.raises(SpecError) as caught:
            data.load(0)
        assert data.missing() == str(caught.value)
        assert data.source() == ""
        assert (data.task.kind, data.task.outputs) == ("classification", 2)


def test_knobs_that_do_not_fit_the_file_are_refused() -> None:
    content = numbered(40, label=[f"class {row % 13}" for row in range(40)])
    assert kept(content, train_share=0.25).missing() == (
        "train_share = 0.25 leaves 10 of 40 rows to train on, and 13 are needed: raise it."
    )
    content = numbered(40, y=[row / 7 for row in range(40)])
    assert kept(content, label_noise=0.2).missing() == (
        "label_noise = 0.2 has no effect on a regression: set it to 0."
    )


# What is refused.


def replaced(row: int, text: str) -> bytes:
    """A table of 40 rows with one of them replaced; row 1 is the header."""
    content = numbered(b=[row / 2 for row in range(40)], label=YES_NO).decode().split("\n")
    content[row - 1] = text
    return "\n".join(content).encode()


REFUSED = {
    "a missing value": (replaced(17, "3,,yes"), "Row 17 has no value for 'b': fill it in, or leave out"),
    "a missing label": (replaced(17, "3,4,"), "Row 17 has no value for 'label'"),
    "NaN": (replaced(17, "3,NaN,yes"), "Row 17 has no value for 'b'"),
    "infinity": (replaced(17, "3,-inf,yes"), "Row 17 has '-inf' for 'b': write a finite number there."),
    "overflow": (replaced(17, "1e999,4,yes"), "Row 17 has '1e999' for 'a': write a finite number there."),
    "a slip": (replaced(17, "3,4o,yes"), "Row 17 has '4o' for 'b', where other rows have numbers"),
    "too few values": (replaced(17, "3,yes"), "Row 17 has 2 values and the header names 3 columns"),
    "too many values": (replaced(41, "3,4,5,yes"), "Row 41 has 4 values and the header names 3 columns"),
    "a quote without an end": (replaced(17, '3,"4,yes'), "Row 17 is not valid CSV (unexpected end of data)"),
    "text behind a quote": (replaced(17, '3,"4"x,yes'), "Row 17 is not valid CSV ("),
    "not UTF-8": (
        replaced(17, "3,4,yes").replace(b"3,4,yes", b"3,4,\xff"),
        "Line 17 of the file is not UTF-8",
    ),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "Line 1 of the file is not UTF-8: save it as CSV in UTF-8."),
    "UTF-16 without mark": ("a,b\n".encode("utf-16-le"), "Line 1 of the file holds a NUL character"),
    "a workbook": (b"PK\x03\x04" + bytes(range(200, 256)), "Line 1 of the file is not UTF-8"),
    "blank": (b"\n\n  \n", "The file has 0 rows of data, and 20 below a header are the fewest: add some."),
    "header only": (b"a,b,c\n", "The file has 0 rows of data"),
    "too few rows": (numbered(19, label=YES_NO), "The file has 19 rows of data"),
    "one column": (lines("a", ["1"] * 30), "The header names fewer than two columns"),
    "no header": (lines("1,2.5,3", ["1,2,3"] * 30), "The first row holds numbers, not names of columns"),
    "a column without name": (lines(",b", ["1,2"] * 30), "Column 1 has no name in the header"),
    "a name twice": (lines("a,b, a", ["1,2,3"] * 30), "The header names 'a' 2 times"),
    "too many columns": (lines(",".join(f"c{i}" for i in range(2001)), []), "The header names 2,001 columns"),
    "too many rows": (lines("a,b", ["1,2"] * 100_001), "The file has more than 100,000 rows: cut it down."),
    "too many levels": (
        numbered(42, name=[f"n{row}" for row in range(42)], label=[*YES_NO, "yes", "no"]),
        "Column 'name' holds 42 different texts, and 20 can become features: group them",
    ),
    "one class": (numbered(label=["yes"] * 40), "'label' holds 'yes' in all rows: choose a column with two"),
    "a rare class": (numbered(label=["odd"] * 2 + ["even"] * 38), "the class 'odd' in fewer than 3 rows"),
    "a rare number": (numbered(label=[7] * 2 + [8] * 38), "leave it out, or choose regression."),
    "too many classes": (
        numbered(303, label=[f"n{row % 101}" for row in range(303)]),
        "'label' holds 101 classes, and 100 are possible: name another column.",
    ),
    "a slip in the label": (
        numbered(label=[*range(39), "x"]),
        "Row 41 has 'x' for 'label', where other rows have numbers",
    ),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_wrong_is_named_with_its_row_or_column(content: bytes, message: str) -> None:
    assert message in refused(content)


def test_rows_are_counted_with_blank_lines_as_a_spreadsheet_does() -> None:
    content = numbered(label=YES_NO).replace(b"\n5,yes\n", b"\n\n5,\n")
    assert "Row 8 has no value for 'label'" in refused(content)


def test_an_unknown_label_column_is_refused_with_the_nearest_name() -> None:
    content = numbered(label=YES_NO)
    assert refused(content, label="lable") == (
        "label = 'lable' is not a column of the file: did you mean 'label'?"
    )
    assert refused(content, label="zzz").endswith("write a name out of its first row.")


def test_a_regression_needs_numbers_that_vary() -> None:
    assert "choose classification, or a column of numbers" in refused(
        numbered(label=YES_NO), problem="regression"
    )
    assert "Row 3 has 'x' for 'label'" in refused(numbered(label=[1, "x"] * 20), problem="regression")
    assert "holds one number in all rows" in refused(numbered(label=[3] * 40), problem="regression")


def test_more_features_than_a_seed_has_room_for_are_refused() -> None:
    columns = {f"c{column}": [f"n{(row + column) % 20}" for row in range(40)] for column in range(101)}
    assert "With 'c99' there are more than 2,000 features" in refused(numbered(**columns, label=YES_NO))
    rows = [
        f"{row % 7},{','.join('abcdefghijklmnopqrst'[(row + c) % 20] for c in range(6))},{row % 2}"
        for row in range(99_000)
    ]
    assert "more than 101 features, the most of 99,000 rows" in refused(lines("a,b,c,d,e,f,g,y", rows))


# Whatever the bytes are, the answer is a table or a sentence.

ODD = "0 1 2.5 -0 1e308 -1e308 5e-324 1_0 yes no é ١ \" \"a '' nan inf 1e999 0x10 1,5 1;2 =1+1 \u2028 True"
CELLS = st.sampled_from([*ODD.split(" "), "", " ", "a\tb", "\x00", "\r"])
USUAL = st.sampled_from(["0", "1", "2", "3.5", "1e300", "-1e-300", "yes", "no"])


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """Columns that go through a few texts in turn, now and then with an odd one among them."""
    delimiter = draw(st.sampled_from(",,;;\t\t|"))
    count = draw(st.integers(15, 60))
    names = ["first", "second", "third", "fourth"][: draw(st.integers(1, 4))]
    columns = []
    for _ in names:
        texts = draw(st.lists(USUAL, min_size=2, max_size=5) | st.lists(CELLS, min_size=1, max_size=3))
        columns.append([texts[row % len(texts)] for row in range(count)])
    if draw(st.integers(0, 3)) == 0:
        columns[draw(st.integers(0, len(names) - 1))][draw(st.integers(0, count - 1))] = draw(CELLS)
    if draw(st.integers(0, 3)) == 0:
        names[draw(st.integers(0, len(names) - 1))] = draw(st.text(max_size=3))
    rows = [names, *zip(*columns, strict=True)]
    return draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"])).join(map(delimiter.join, rows)).encode()


READINGS = ({}, {"problem": "classification"}, {"problem": "regression", "label": "first"})


def outcome(data: Csv) -> Splits | str:
    try:
        return data.load(0)
    except SpecError as error:
        return str(error)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(tables() | tables() | st.binary(min_size=1, max_size=400) | st.text(min_size=1).map(str.encode))
def test_any_bytes_are_read_or_refused_and_what_is_read_is_finite(content: bytes) -> None:
    file = uploads.keep(content, "csv")
    for knobs in READINGS:
        data = Csv(file=file, **knobs)
        splits = outcome(data)
        if isinstance(splits, str):
            assert data.missing() == splits
            assert len(splits) < 400
            continue
        assert all(np.isfinite(array).all() for array in vars(splits).values())
        assert splits.x_train.shape[1:] == data.task.shape
        if data.task.kind == "classification":
            assert 0 <= splits.y_train.min() <= splits.y_train.max() < data.task.outputs
