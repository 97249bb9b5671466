"""Iris, 150 flowers of three species with four measurements each (Fisher 1936), from scikit-learn."""

from __future__ import annotations

from functools import cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.dataset import Dataset, Splits, label_noise_knob, split, standardized, with_label_noise
from dropviz.task import Task, classification


class Iris(Dataset):
    """scikit-learn's iris table, standardized with the training split's mean and deviation."""

    name: Literal["iris"] = "iris"
    train_size: int = Field(
        75,
        ge=12,
        le=135,
        title="Training flowers",
        description="The rest of the 150 is halved into validation and test, each with its share of every class.",
    )
    label_noise: float = label_noise_knob(0.3, "all three classes")

    title: ClassVar[str] = "Iris (4 features)"
    origin: ClassVar[str] = "scikit-learn"
    licence: ClassVar[str] = "CC BY 4.0 (UCI)"

    @property
    def task(self) -> Task:
        """Three classes."""
        return classification((4,), classes=3)

    def load(self, seed: int) -> Splits:
        """Split by the seed, standardize, then redraw training labels."""
        x, y = _arrays()
        splits = standardized(split(x, y, train_size=self.train_size, seed=seed, stratified=True))
        return with_label_noise(splits, self.label_noise, classes=3, seed=seed)


@cache
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    """Features and labels; scikit-learn would parse its file again for every seed."""
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)
