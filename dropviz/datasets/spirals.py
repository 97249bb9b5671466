"""Two spiral arms wound into each other: a long, thin boundary that takes capacity."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.planar import Planar

RADIUS = 3.0  # where an arm ends: keeps the features near unit variance


class Spirals(Planar):
    """Two arms of Archimedes' spiral from the centre to radius 3, half a turn apart, with noise on both axes."""

    name: Literal["spirals"] = "spirals"
    train_size: int = Field(
        200, ge=8, le=5000, title="Training points", description="Drawn afresh for each seed."
    )
    noise: float = Field(
        0.15, ge=0, le=2, title="Position noise", description="Standard deviation, outer radius = 3."
    )
    turns: float = Field(
        1.5, ge=0.25, le=4, title="Turns", description="Of each arm; their distance is 1.5 / turns."
    )

    title: ClassVar[str] = "Spirals (2-D)"
    extent: ClassVar[tuple[float, float, float, float]] = (-3.6, 3.6, -3.6, 3.6)

    def places(self, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """At radii that fill the disc evenly: the density over the length of an arm grows with the radius."""
        share = np.sqrt(random.uniform(size=len(y)))
        angle = 2 * np.pi * self.turns * share + np.pi * y
        return (RADIUS * share)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
