"""The base of the sets in the plane: points of two classes, drawn afresh for each seed, whose boundary can be watched."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from pydantic import Field

from dropviz.datasets.dataset import Dataset, Splits, label_noise_knob, split, with_label_noise
from dropviz.streams import generator
from dropviz.task import Task, classification

HELD_OUT = 2000  # validation and test together: generated data costs nothing


class Planar(Dataset):
    """Places in the plane that belong to two classes, with Gaussian noise on both axes."""

    train_size: int = Field(
        100, ge=8, le=5000, title="Training points", description="Drawn afresh for each seed."
    )
    noise: float
    label_noise: float = label_noise_knob(0.1, "both classes")

    origin: ClassVar[str] = "generated"
    licence: ClassVar[str] = "none needed"
    planar: ClassVar[bool] = True

    @property
    def task(self) -> Task:
        """Two classes."""
        return classification((2,), classes=2)

    @abstractmethod
    def places(self, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """A place without noise for each of these class numbers: (examples,) → (examples, 2)."""

    def load(self, seed: int) -> Splits:
        """Draw fresh points for this seed, then redraw training labels."""
        random = generator(seed, f"data/{self.name}")
        y = np.arange(self.train_size + HELD_OUT) % 2
        places = self.places(y, random)
        x = places + self.noise * random.standard_normal(places.shape)
        splits = split(x, y, train_size=self.train_size, seed=seed)
        return with_label_noise(splits, self.label_noise, classes=2, seed=seed)
