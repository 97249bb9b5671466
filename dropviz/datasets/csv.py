"""A person's own table, from a CSV file that was uploaded or stands in a mounted folder."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, Literal

from pydantic import Field

from dropviz import uploads
from dropviz.choices import SpecError, shown
from dropviz.datasets.dataset import Dataset, Splits, label_noise_knob, split, standardized, with_label_noise
from dropviz.datasets.table import Problem, Table, read_table
from dropviz.task import Task, classification, regression

FEWEST_TRAINED = 10


class Csv(Dataset):
    """The rows of a CSV file: features, and targets of a regression, are standardized by the training split.

    See ``table.read_table`` for what a file may hold.
    """

    name: Literal["csv"] = "csv"
    file: str = Field(
        "",
        max_length=1000,
        title="File",
        description="SHA-256 of an uploaded file, or the path of a file below the folder that DROPVIZ_FILES names.",
    )
    label: str = Field(
        "",
        max_length=1000,
        title="Label column",
        description="Its name in the first row; empty for the last column.",
    )
    problem: Problem = Field(
        "auto",
        title="Problem",
        description="Auto: classes where the label column holds texts or at most 20 different whole numbers.",
    )
    train_share: float = Field(
        0.6,
        gt=0,
        le=0.9,
        title="Training share",
        description="Of all rows; the rest is halved into validation and test, each with its share of every class.",
    )
    label_noise: float = label_noise_knob(0.0, "all classes; of a regression, 0")

    title: ClassVar[str] = "Your own table (CSV)"
    origin: ClassVar[str] = "a file of yours"
    licence: ClassVar[str] = "yours"

    @property
    def task(self) -> Task:
        """What the label column asks for; one feature and two classes where the file cannot be used."""
        if self.missing():
            return classification((1,), classes=2)
        table = self._table()
        shape = (len(table.features),)
        return classification(shape, len(table.classes)) if table.classes else regression(shape)

    def load(self, seed: int) -> Splits:
        """Split by the seed, standardize, then redraw training labels.

        Raises:
            SpecError: What ``missing`` says.
        """
        table = self._table()
        train_size = round(self.train_share * len(table.y))
        classes = len(table.classes)
        splits = split(table.x, table.y, train_size=train_size, seed=seed, stratified=classes > 0)
        splits = standardized(splits)
        if not classes:
            return standardized(splits, targets=True)
        return with_label_noise(splits, self.label_noise, classes=classes, seed=seed)

    def pinned(self) -> Dataset:
        """The file as it is now, kept under its hash: one below a mounted folder may change at any time."""
        if self.missing() or uploads.is_upload(self.file):
            return self
        return self.model_copy(update={"file": uploads.keep(uploads.read(self.file, "csv"), "csv")})

    def missing(self) -> str:
        """What is wrong with the file, or with the knobs given this file."""
        try:
            self._table()
        except ValueError as error:  # or with the settings
            return str(error)
        return ""

    def source(self) -> str:
        """SHA-256 of the file; empty where it cannot be used."""
        return "" if self.missing() else self._table().digest

    def _table(self) -> Table:
        """The file as numbers, checked against the knobs."""
        path = uploads.path_of(self.file)
        try:
            status = path.stat()
        except OSError as error:
            raise SpecError(
                f"{shown(self.file)} cannot be read ({error.strerror}): choose another file."
            ) from None
        version = (str(path), status.st_mtime_ns, status.st_size)
        table = _read(self.file, version, self.label, self.problem)
        if isinstance(table, str):
            raise SpecError(table)
        trained, needed = round(self.train_share * len(table.y)), max(FEWEST_TRAINED, len(table.classes))
        if trained < needed:
            raise SpecError(
                f"train_share = {self.train_share:g} leaves {trained} of {len(table.y):,} rows to train on, and {needed} are"
                " needed: raise it."
            )
        if self.label_noise and not table.classes:
            raise SpecError(f"label_noise = {self.label_noise:g} has no effect on a regression: set it to 0.")
        return table


@lru_cache(maxsize=4)
def _read(file: str, version: tuple[str, int, int], label: str, problem: Problem) -> Table | str:
    """The file as numbers, or what is wrong with it.

    ``version`` is where it lies and when it changed, so that a page does not parse it over and over.
    """
    content = uploads.read(file, "csv")
    try:
        return read_table(content, label=label, problem=problem)
    except SpecError as error:
        return str(error)
