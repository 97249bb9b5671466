"""Two interleaved half circles in the plane: the set whose decision boundary can be watched."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.planar import Planar


class TwoMoons(Planar):
    """Two half circles of radius 1, the lower one shifted by (1, 0.5), with Gaussian noise on both axes."""

    name: Literal["two-moons"] = "two-moons"
    noise: float = Field(
        0.25, ge=0, le=2, title="Position noise", description="Standard deviation, radius = 1."
    )

    title: ClassVar[str] = "Two moons (2-D)"
    extent: ClassVar[tuple[float, float, float, float]] = (-1.75, 2.75, -1.5, 2.0)

    def places(self, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """At angles that are uniform on each half circle."""
        angle = random.uniform(0, np.pi, size=len(y))
        upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
        return np.where(y[:, None] == 0, upper, lower)
