"""A Gaussian for each class: the smallest loss and the highest accuracy that any model can reach are known."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from dropviz.choices import SpecError
from dropviz.datasets.dataset import Dataset, Splits, label_noise_knob, split, with_label_noise
from dropviz.datasets.optimum import cosine_basis, mixture_optimum
from dropviz.streams import generator
from dropviz.task import Task, classification

HELD_OUT = 4000  # validation and test together


class GaussianMixture(Dataset):
    """Unit-variance Gaussians, equally many examples each; any two class means have the same distance.

    The means are the same for all seeds: orthogonal cosines over the features, around 0. The best classifier is linear.
    """

    name: Literal["gaussian-mixture"] = "gaussian-mixture"
    train_size: int = Field(
        200, ge=16, le=10_000, title="Training examples", description="Drawn afresh for each seed."
    )
    classes: int = Field(4, ge=2, le=20, title="Classes", description="No more than there are features.")
    dimension: int = Field(
        50,
        ge=2,
        le=200,
        title="Features",
        description="The class shows in as many directions as there are classes.",
    )
    separation: float = Field(
        3.0, ge=0, le=20, title="Separation", description="Distance of any two class means, noise = 1."
    )
    label_noise: float = label_noise_knob(0.0, "all classes")

    title: ClassVar[str] = "Gaussian mixture (known optimum)"
    origin: ClassVar[str] = "generated"
    licence: ClassVar[str] = "none needed"

    @model_validator(mode="after")
    def _means_fit(self) -> Self:
        if self.classes > self.dimension:
            raise SpecError(
                f"classes = {self.classes} is not possible with dimension = {self.dimension}: lower it, or raise dimension."
            )
        return self

    @property
    def task(self) -> Task:
        """As many classes and features as the knobs say."""
        return classification((self.dimension,), classes=self.classes)

    def load(self, seed: int) -> Splits:
        """Draw fresh examples for this seed, then redraw training labels."""
        y = np.arange(self.train_size + HELD_OUT) % self.classes
        means = self.separation / np.sqrt(2) * cosine_basis(self.classes, self.dimension)
        noise = generator(seed, "data/gaussian-mixture").standard_normal((len(y), self.dimension))
        splits = split((means - means.mean(axis=0))[y] + noise, y, train_size=self.train_size, seed=seed)
        return with_label_noise(splits, self.label_noise, classes=self.classes, seed=seed)

    def references(self, seed: int) -> dict[str, float]:
        """Of the true posterior; the same for all seeds, since it is of the distribution and not of a sample."""
        return mixture_optimum(self.separation, self.classes)
