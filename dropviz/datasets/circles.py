"""Two circles around one centre: no line separates them, a ring does."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.planar import Planar


class Circles(Planar):
    """A circle of radius 1 (class 0) and a smaller one inside of it (class 1), with Gaussian noise on both axes."""

    name: Literal["circles"] = "circles"
    noise: float = Field(
        0.15, ge=0, le=2, title="Position noise", description="Standard deviation, outer radius = 1."
    )
    inner: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Inner radius",
        description="At 1 the circles are one and nothing can be learned.",
    )

    title: ClassVar[str] = "Circles (2-D)"
    extent: ClassVar[tuple[float, float, float, float]] = (-1.6, 1.6, -1.6, 1.6)

    def places(self, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """At angles that are uniform on each circle."""
        angle = random.uniform(0, 2 * np.pi, size=len(y))
        radius = np.where(y == 0, 1.0, self.inner)
        return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
