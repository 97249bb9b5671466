"""Two interleaved half circles in the plane: the set whose decision boundary can be watched."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.dataset import Dataset, Splits, redraw_labels, split
from dropviz.streams import generator
from dropviz.task import Task, classification

HELD_OUT = 2000  # validation and test together: generated data costs nothing


class TwoMoons(Dataset):
    """Two half circles of radius 1, the lower one shifted by (1, 0.5), with Gaussian noise on both axes."""

    name: Literal["two-moons"] = "two-moons"
    train_size: int = Field(
        100, ge=8, le=5000, title="Training points", description="Drawn afresh for each seed."
    )
    noise: float = Field(
        0.25, ge=0, le=2, title="Position noise", description="Standard deviation, radius = 1."
    )
    label_noise: float = Field(
        0.1,
        ge=0,
        le=1,
        title="Label noise",
        description="Share of the training labels that are redrawn from both classes.",
    )

    title: ClassVar[str] = "Two moons (2-D)"
    origin: ClassVar[str] = "generated"
    licence: ClassVar[str] = "none needed"
    planar: ClassVar[bool] = True
    extent: ClassVar[tuple[float, float, float, float]] = (-1.75, 2.75, -1.5, 2.0)

    @property
    def task(self) -> Task:
        """Two classes."""
        return classification((2,), classes=2)

    def load(self, seed: int) -> Splits:
        """Draw fresh points for this seed, then redraw training labels."""
        random = generator(seed, "data/two-moons")
        count = self.train_size + HELD_OUT
        y = np.arange(count) % 2
        angle = random.uniform(0, np.pi, size=count)
        upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
        x = np.where(y[:, None] == 0, upper, lower) + self.noise * random.standard_normal((count, 2))
        splits = split(x, y, train_size=self.train_size, seed=seed)
        noisy = redraw_labels(splits.y_train, probability=self.label_noise, classes=2, seed=seed)
        return replace(splits, y_train=noisy)
