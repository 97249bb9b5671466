"""Handwritten digits, 1,797 images of 8 × 8 pixels, from scikit-learn."""

from __future__ import annotations

from functools import cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.dataset import Dataset, Splits, label_noise_knob, split, with_label_noise
from dropviz.task import Task, classification


class Digits(Dataset):
    """scikit-learn's digits, pixels scaled to 0–1; writers leak across splits, so no benchmark claims."""

    name: Literal["digits"] = "digits"
    train_size: int = Field(
        400,
        ge=16,
        le=1500,
        title="Training images",
        description="The rest of the 1,797 is halved into validation and test.",
    )
    label_noise: float = label_noise_knob(0.4, "all ten classes")

    title: ClassVar[str] = "Digits (8 × 8 images)"
    origin: ClassVar[str] = "scikit-learn"
    licence: ClassVar[str] = "CC BY 4.0 (UCI)"

    @property
    def task(self) -> Task:
        """Ten classes."""
        return classification((1, 8, 8), classes=10)

    def load(self, seed: int) -> Splits:
        """Split by the seed, then redraw training labels; test labels are never touched."""
        x, y = _arrays()
        splits = split(x.reshape(-1, 1, 8, 8) / 16, y, train_size=self.train_size, seed=seed)
        return with_label_noise(splits, self.label_noise, classes=10, seed=seed)


@cache
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    """Images and labels; scikit-learn would parse its file again for every seed."""
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)
