"""What a data set is, and the two things that many share: splitting and label noise."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from dropviz import settings
from dropviz.choices import Choices, SpecError
from dropviz.downloads import Download, RemoteFile, cached, shown_size
from dropviz.streams import generator
from dropviz.task import Task
from dropviz.text import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Three splits of one seed.

    ``x`` (examples, *shape) float32; ``y`` class numbers (examples,) int64, or of a regression (examples, targets) float32.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Text:
    """Three running texts of one seed as token numbers (tokens,), of any whole-number type, perhaps memory-mapped."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    vocabulary: Vocabulary


class Dataset(Choices):
    """A data set and its knobs.

    ``planar`` sets have two features, so a decision boundary can be drawn over ``extent`` (x0, x1, y0, y1).
    """

    name: str
    title: ClassVar[str]
    origin: ClassVar[str]  # where it comes from: a package, a generator, a download
    licence: ClassVar[str]
    files: ClassVar[tuple[RemoteFile, ...]] = ()  # what has to be fetched before it can be loaded
    planar: ClassVar[bool] = False
    extent: ClassVar[tuple[float, float, float, float]] = (-1.0, 1.0, -1.0, 1.0)

    @property
    @abstractmethod
    def task(self) -> Task:
        """What it asks of a model; known without loading anything: the page needs it for its estimates."""

    @abstractmethod
    def load(self, seed: int) -> Splits | Text:
        """The splits of this seed: the same seed gives the same arrays on every machine. ``Text`` for language tasks."""

    def missing(self) -> str:
        """Empty where it can be loaded; else one sentence that says what is missing and how to get it."""
        try:
            return "" if not self.files or self.download().cached else self._to_be_fetched()
        except ValueError as error:  # the settings name no usable folder
            return str(error)

    def download(self) -> Download:
        """Its files, in the folder of the cache that has its name.

        Raises:
            ValueError: The cache directory cannot be used; see ``settings.cache_dir``.
        """
        return Download(files=self.files, folder=settings.cache_dir() / self.name)

    def fetched(self, file: RemoteFile) -> Path:
        """Where one of its files is.

        Raises:
            SpecError: It is not there; the message says how to get it.
        """
        download = self.download()
        if not cached(file, download.folder):
            raise SpecError(self._to_be_fetched())
        return download.path(file)

    def _to_be_fetched(self) -> str:
        size = shown_size(sum(file.size for file in self.files))
        return (
            f"{self.title} has to be fetched first ({size}, licence: {self.licence}): "
            f"run `dropviz data fetch {self.name}`, or press Fetch in the page."
        )

    def source(self) -> str:
        """What identifies data from outside of this program, for the keys of results: a hash or a version."""
        return " ".join(file.sha256[:16] for file in self.files)

    def references(self, seed: int) -> dict[str, float]:
        """Known numbers to compare with, such as ``optimum/loss`` or ``unigram/loss``, in the units of the metric."""
        return {}


def split(x: np.ndarray, y: np.ndarray, *, train_size: int, seed: int) -> Splits:
    """Permute, take the first ``train_size`` examples for training and halve the rest.

    The halves are the validation split (smaller by one example where the rest is odd) and the test split.
    """
    order = generator(seed, "data/split").permutation(len(x))
    train, rest = order[:train_size], order[train_size:]
    validation, test = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    x = x.astype(np.float32)
    y = y.astype(np.int64 if y.ndim == 1 else np.float32)
    return Splits(
        x_train=x[train],
        y_train=y[train],
        x_validation=x[validation],
        y_validation=y[validation],
        x_test=x[test],
        y_test=y[test],
    )


def redraw_labels(y: np.ndarray, *, probability: float, classes: int, seed: int) -> np.ndarray:
    """Redraw each label uniformly from **all** classes with this probability.

    A redrawn label may come out right: with ten classes and probability 0.4, 36 % end up wrong.
    """
    random = generator(seed, "data/label-noise")
    redrawn = random.integers(0, classes, size=len(y))
    return np.where(random.random(len(y)) < probability, redrawn, y)
