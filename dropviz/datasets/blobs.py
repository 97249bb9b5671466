"""Two Gaussian blobs in the plane: a line separates them as well as anything can, and how well is known."""

from __future__ import annotations

from math import inf
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.optimum import mixture_optimum
from dropviz.datasets.planar import Planar


class Blobs(Planar):
    """Blobs around (∓1, ∓1) · distance / √8 that are round and equally wide."""

    name: Literal["blobs"] = "blobs"
    noise: float = Field(
        1.0, ge=0, le=5, title="Position noise", description="Standard deviation of each blob on both axes."
    )
    distance: float = Field(2.0, ge=0, le=6, title="Distance", description="Between the two centres.")

    title: ClassVar[str] = "Blobs (2-D)"
    extent: ClassVar[tuple[float, float, float, float]] = (-4.0, 4.0, -4.0, 4.0)

    def places(self, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The centres."""
        return np.repeat((2 * y[:, None] - 1) * self.distance / np.sqrt(8), 2, axis=1)

    def references(self, seed: int) -> dict[str, float]:
        """Of the best boundary, the line halfway between the centres: accuracy Φ(distance / (2 noise))."""
        separation = self.distance / self.noise if self.noise else (inf if self.distance else 0.0)
        return mixture_optimum(separation, classes=2)
