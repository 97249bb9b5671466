"""What a data set is, and the two things that every classification set shares: splitting and label noise."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dropviz.choices import Choices
from dropviz.streams import generator


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Three splits of one seed: features ``x`` (examples, features) float32, labels ``y`` (examples,) int64."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


class Dataset(Choices):
    """A data set and its knobs.

    ``features`` and ``classes`` are known without loading anything: the page needs them for its estimates.
    ``planar`` sets have two features, so a decision boundary can be drawn over ``extent`` (x0, x1, y0, y1).
    """

    name: str
    features: ClassVar[int]
    classes: ClassVar[int]
    title: ClassVar[str]
    planar: ClassVar[bool] = False
    extent: ClassVar[tuple[float, float, float, float]] = (-1.0, 1.0, -1.0, 1.0)

    @abstractmethod
    def load(self, seed: int) -> Splits:
        """The splits of this seed: the same seed gives the same arrays on every machine."""


def split(x: np.ndarray, y: np.ndarray, *, train_size: int, seed: int) -> Splits:
    """Permute, take the first ``train_size`` examples for training and halve the rest.

    The halves are the validation split (smaller by one example where the rest is odd) and the test split.
    """
    order = generator(seed, "data/split").permutation(len(x))
    train, rest = order[:train_size], order[train_size:]
    validation, test = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    x = x.astype(np.float32)
    y = y.astype(np.int64)
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
