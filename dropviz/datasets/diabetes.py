"""Diabetes, 442 patients with ten measurements and how far the disease went a year later (Efron et al. 2004)."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.dataset import Dataset, Splits, split, standardized
from dropviz.streams import generator
from dropviz.task import Task, regression


class Diabetes(Dataset):
    """scikit-learn's diabetes table; features and target are standardized with the training split's statistics.

    So a loss, half the squared error, of 0.5 on the training split is that of predicting its mean.
    """

    name: Literal["diabetes"] = "diabetes"
    train_size: int = Field(
        200,
        ge=16,
        le=400,
        title="Training patients",
        description="The rest of the 442 is halved into validation and test.",
    )
    target_noise: float = Field(
        0.0,
        ge=0,
        le=5,
        title="Target noise",
        description="Standard deviation of Gaussian noise on the training targets, which are standardized to 1.",
    )

    title: ClassVar[str] = "Diabetes (regression, 10 features)"
    origin: ClassVar[str] = "scikit-learn"
    licence: ClassVar[str] = "none stated (Efron et al. 2004)"

    @property
    def task(self) -> Task:
        """One number."""
        return regression((10,))

    def load(self, seed: int) -> Splits:
        """Split by the seed, standardize both sides, then add noise to the training targets."""
        x, y = _arrays()
        splits = standardized(split(x, y[:, None], train_size=self.train_size, seed=seed))
        splits = standardized(splits, targets=True)
        noise = generator(seed, "data/target-noise").standard_normal(splits.y_train.shape)
        noisy = splits.y_train + self.target_noise * noise
        return replace(splits, y_train=noisy.astype(np.float32))


@cache
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    """Features in their own units and targets; scikit-learn would parse its files again for every seed."""
    from sklearn.datasets import load_diabetes

    return load_diabetes(return_X_y=True, scaled=False)
