"""A data set: squares of a checkerboard in the plane."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.planar import Planar


class Checkerboard(Planar):
    """Uniform points on [−2, 2]²; the class is the colour of their square."""

    name: Literal["checkerboard"] = "checkerboard"
    noise: float = Field(0.05, ge=0, le=2, title="Position noise", description="Standard deviation.")

    title: ClassVar[str] = "Checkerboard (2-D)"
    extent: ClassVar[tuple[float, float, float, float]] = (-2.2, 2.2, -2.2, 2.2)

    def places(self, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Anywhere in one of the squares of the class: drawn in a column, then in a row of that colour."""
        column = random.integers(-2, 2, len(y))
        row = 2 * random.integers(-1, 1, len(y)) + (column + y) % 2
        return np.stack([column, row], axis=1) + random.uniform(size=(len(y), 2))
