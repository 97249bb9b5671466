"""A person's own table: the bytes of a CSV file in, numbers out, and a sentence for everything that is wrong with it.

Rows are counted as a spreadsheet does: the header is row 1. Nothing in a file is ever executed or unpickled.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dropviz.choices import SpecError, shown

Problem = Literal["auto", "classification", "regression"]

FEWEST_ROWS, MOST_ROWS = 20, 100_000
MOST_COLUMNS = 2_000  # of the file, and of features
MOST_NUMBERS = 10_000_000  # rows × features, which every seed holds a copy of
MOST_LEVELS = 20  # different texts of a column that become one feature each
MOST_NUMBERED = 20  # different whole numbers that still look like names of classes
MOST_CLASSES, FEWEST_OF_A_CLASS = 100, 3
MISSING = {"", "na", "n/a", "nan", "null", "?"}
DELIMITERS = ",;\t"


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a file holds.

    Attributes:
        x: Features (rows, features) float32. Columns of numbers are centred and scaled to at most 1 in size, which
            standardizing by a training split undoes; texts are indicators.
        y: Class numbers (rows,) int64, or numbers to predict (rows, 1) float32, centred and scaled in the same way.
        features: Their names; ``color=red`` for an indicator.
        classes: Names of the classes, in order; empty for a regression.
        digest: SHA-256 of the file.
    """

    x: np.ndarray
    y: np.ndarray
    features: tuple[str, ...]
    classes: tuple[str, ...]
    digest: str


@dataclass(frozen=True, kw_only=True)
class _Column:
    """The texts of one column, their row numbers in the file, and their values where all of them are numbers."""

    name: str
    texts: list[str]
    rows: list[int]
    comma: bool  # whether a comma may be the decimal mark

    def values(self) -> np.ndarray | None:
        """As float64, or None where some text is not a number.

        Raises:
            SpecError: A number is not finite.
        """
        texts = [text.replace(",", ".") for text in self.texts] if self.comma else self.texts
        try:
            values = np.array([*map(float, texts)])
        except ValueError:
            return None
        if any("_" in text for text in texts):  # of which Python would take 1_000 for a number
            return None
        for at in np.flatnonzero(~np.isfinite(values))[:1]:
            raise SpecError(
                f"Row {self.rows[at]} has {shown(self.texts[at])} for {shown(self.name)}: write a finite number there."
            )
        return values

    def refuse_a_gap(self) -> None:
        """Every row needs a value.

        Raises:
            SpecError: Names the first one without.
        """
        gaps = {text for text in set(self.texts) if text.lower() in MISSING}
        if gaps:
            row = next(row for row, text in zip(self.rows, self.texts, strict=True) if text in gaps)
            raise SpecError(
                f"Row {row} has no value for {shown(self.name)}: fill it in, or leave out the row or the column."
            )

    def refuse_a_stray_text(self, most: float = 0.5) -> None:
        """Where more than this share are numbers, a text is a slip and not a category.

        Raises:
            SpecError: Names the first one.
        """
        counts = Counter(self.texts)
        stray = {text for text in counts if _number(text, self.comma) is None}
        if stray and sum(counts[text] for text in stray) < (1 - most) * len(self.texts):
            row, text = next(pair for pair in zip(self.rows, self.texts, strict=True) if pair[1] in stray)
            raise SpecError(
                f"Row {row} has {shown(text)} for {shown(self.name)}, where other rows have numbers: write a number there, or"
                " words in all rows."
            )


def read_table(content: bytes, *, label: str = "", problem: Problem = "auto") -> Table:
    """Read a CSV file: UTF-8, a header, columns separated by commas, semicolons or tabs.

    A column of numbers is one feature, and a column of texts an indicator for each of them. Between semicolons a comma
    may be the decimal mark. ``auto`` is a classification where the label column holds texts, or at most 20 different
    whole numbers.

    Args:
        content: The file.
        label: Name of the column to predict; by default the last one.
        problem: What the label column means.

    Raises:
        SpecError: Names the row or the column that is wrong, the rule and the fix.
    """
    columns = _columns(_decoded(content))
    target = columns.pop(_label_column([column.name for column in columns], label))
    y, classes = _labels(target, problem)
    x, features = _features(columns)
    digest = hashlib.sha256(content).hexdigest()
    return Table(x=x, y=y, features=features, classes=classes, digest=digest)


# From bytes to columns.


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpecError(f"Line {line} of the file is not UTF-8: save it as CSV in UTF-8.") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SpecError(f"Line {line} of the file holds a NUL character: save it as CSV in UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _columns(text: str) -> list[_Column]:
    delimiter = max(DELIMITERS, key=lambda one: _width(text, one))
    header: list[str] = []
    table: list[list[str]] = []
    rows: list[int] = []
    for row, fields in _records(text, delimiter):
        if not header:
            header = fields
            _check_header(header)
        elif len(fields) != len(header):
            raise SpecError(
                f"Row {row} has {len(fields):,} values and the header names {len(header):,} columns: mend that row."
            )
        elif len(rows) == MOST_ROWS:
            raise SpecError(f"The file has more than {MOST_ROWS:,} rows: cut it down.")
        else:
            table.append(fields)
            rows.append(row)
    if len(rows) < FEWEST_ROWS:
        raise SpecError(
            f"The file has {len(rows)} rows of data, and {FEWEST_ROWS} below a header are the fewest: add some."
        )
    columns = [
        _Column(name=name, texts=list(texts), rows=rows, comma=delimiter == ";")
        for name, texts in zip(header, zip(*table, strict=True), strict=True)
    ]
    for column in columns:
        column.refuse_a_gap()
    return columns


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Row number and values of every row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True)
    row = 0
    try:
        for row, fields in enumerate(reader, start=1):
            if any(field and not field.isspace() for field in fields):
                yield row, [field.strip() for field in fields]
    except csv.Error as error:
        raise SpecError(f"Row {row + 1} is not valid CSV ({error}): mend its quotes.") from None


def _width(text: str, delimiter: str) -> int:
    try:
        return len(next(_records(text, delimiter), (0, []))[1])
    except SpecError:
        return 0


def _check_header(header: list[str]) -> None:
    if len(header) < 2:
        raise SpecError(
            "The header names fewer than two columns: it needs a feature and a label, with a comma, semicolon or tab between."
        )
    if len(header) > MOST_COLUMNS:
        raise SpecError(f"The header names {len(header):,} columns, over {MOST_COLUMNS:,}: leave some out.")
    if all(_number(name, comma=False) is not None for name in header):
        raise SpecError("The first row holds numbers, not names of columns: add a header above it.")
    if "" in header:
        raise SpecError(f"Column {header.index('') + 1} has no name in the header: name it, or leave it out.")
    name, count = Counter(header).most_common(1)[0]
    if count > 1:
        raise SpecError(f"The header names {shown(name)} {count} times: give every column a name of its own.")


def _label_column(names: list[str], label: str) -> int:
    if not label:
        return len(names) - 1
    if label not in names:
        near = difflib.get_close_matches(label, names, n=1)
        hint = f"did you mean {shown(near[0])}?" if near else "write a name out of its first row."
        raise SpecError(f"label = {shown(label)} is not a column of the file: {hint}")
    return names.index(label)


def _number(text: str, comma: bool) -> float | None:
    try:
        return None if "_" in text else float(text.replace(",", ".") if comma else text)
    except ValueError:
        return None


# From columns to numbers.


def _labels(column: _Column, problem: Problem) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers and names of the classes, or targets and none."""
    values = column.values()
    if problem == "auto":
        column.refuse_a_stray_text()
        numbered = values is not None and (values == np.floor(values)).all()
        few = len(set(column.texts)) <= MOST_NUMBERED
        problem = "classification" if values is None or (numbered and few) else "regression"
    if problem == "regression":
        return _targets(column, values), ()
    return _classes(column, values)


def _targets(column: _Column, values: np.ndarray | None) -> np.ndarray:
    if values is None:
        column.refuse_a_stray_text(most=0.0)
        raise SpecError(
            f"The label column {shown(column.name)} holds texts: choose classification, or a column of numbers."
        )
    if (values == values[0]).all():
        raise SpecError(
            f"The label column {shown(column.name)} holds one number in all rows: choose one that varies."
        )
    return _scaled(values)[:, None]


def _classes(column: _Column, values: np.ndarray | None) -> tuple[np.ndarray, tuple[str, ...]]:
    keys = np.array(column.texts, dtype=object) if values is None else values  # 1 and 1.0 are one class
    _, first, y, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    names = tuple(column.texts[at] for at in first)
    where = f"The label column {shown(column.name)}"
    if len(names) < 2:
        raise SpecError(
            f"{where} holds {shown(names[0])} in all rows: choose a column with two classes or more."
        )
    if len(names) > MOST_CLASSES:
        fix = "name another column" if values is None else "choose regression, or name another column"
        raise SpecError(f"{where} holds {len(names):,} classes, and {MOST_CLASSES} are possible: {fix}.")
    if counts.min() < FEWEST_OF_A_CLASS:
        rare = names[int(counts.argmin())]
        fix = "add some or leave it out" if values is None else "add some, leave it out, or choose regression"
        raise SpecError(
            f"{where} holds the class {shown(rare)} in fewer than {FEWEST_OF_A_CLASS} rows: {fix}."
        )
    return y.astype(np.int64), names


def _features(columns: list[_Column]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Features (rows, features) and their names."""
    count = len(columns[0].rows)
    most = min(MOST_COLUMNS, MOST_NUMBERS // count)
    plan: list[
        tuple[str, np.ndarray | list[str], str]
    ] = []  # name, values or texts, the text that is indicated
    for column in columns:
        values = column.values()
        if values is not None:
            plan.append((column.name, values, ""))
        else:
            plan += [(f"{column.name}={level}", column.texts, level) for level in _levels(column)]
        if len(plan) > most:
            raise SpecError(
                f"With {shown(column.name)} there are more than {most:,} features, the most of {count:,} rows: leave out"
                " columns or rows."
            )
    x = np.empty((count, len(plan)), dtype=np.float32)
    for at, (_, source, level) in enumerate(plan):
        x[:, at] = [text == level for text in source] if isinstance(source, list) else _scaled(source)
    return x, tuple(name for name, _, _ in plan)


def _levels(column: _Column) -> list[str]:
    """The different texts of a column, in order."""
    column.refuse_a_stray_text()
    levels = sorted(set(column.texts))
    if len(levels) > MOST_LEVELS:
        raise SpecError(
            f"Column {shown(column.name)} holds {len(levels):,} different texts, and {MOST_LEVELS} can become features: group"
            " them, write numbers, or leave the column out."
        )
    return levels


def _scaled(values: np.ndarray) -> np.ndarray:
    """Centred and divided by the largest size, so that float32 holds any column; float32.

    Rounded to 10⁻¹², so that no deviation of a training split is so small that dividing by it overflows.
    """
    values = values / (np.abs(values).max() or 1.0)  # first, since the sum in a mean may overflow
    values = values - values.mean()
    values = values / (np.abs(values).max() or 1.0)
    return np.round(values, 12).astype(np.float32)
