"""Breast cancer Wisconsin (diagnostic), 569 patients with 30 features, from scikit-learn."""

from __future__ import annotations

from functools import cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.dataset import Dataset, Splits, label_noise_knob, split, standardized, with_label_noise
from dropviz.task import Task, classification


class BreastCancer(Dataset):
    """scikit-learn's breast cancer table, standardized with the training split's mean and deviation."""

    name: Literal["breast-cancer"] = "breast-cancer"
    train_size: int = Field(
        200,
        ge=16,
        le=500,
        title="Training patients",
        description="The rest of the 569 is halved into validation and test.",
    )
    label_noise: float = label_noise_knob(0.2, "both classes")

    title: ClassVar[str] = "Breast cancer (30 features)"
    origin: ClassVar[str] = "scikit-learn"
    licence: ClassVar[str] = "CC BY 4.0 (UCI)"

    @property
    def task(self) -> Task:
        """Two classes."""
        return classification((30,), classes=2)

    def load(self, seed: int) -> Splits:
        """Split by the seed, standardize, then redraw training labels."""
        x, y = _arrays()
        splits = standardized(split(x, y, train_size=self.train_size, seed=seed))
        return with_label_noise(splits, self.label_noise, classes=2, seed=seed)


@cache
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    """Features and labels; scikit-learn would parse its file again for every seed."""
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer(return_X_y=True)
