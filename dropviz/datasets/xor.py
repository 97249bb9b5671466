"""Four Gaussian blobs at the corners of a square, opposite ones of one class: neither coordinate says anything alone."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.optimum import xor_optimum
from dropviz.datasets.planar import Planar


class Xor(Planar):
    """Corners (±1, ±1): class 1 where the signs differ, with Gaussian noise on both axes."""

    name: Literal["xor"] = "xor"
    noise: float = Field(
        0.5, ge=0, le=2, title="Position noise", description="Standard deviation; the corners are 2 apart."
    )

    title: ClassVar[str] = "Exclusive or (2-D)"
    extent: ClassVar[tuple[float, float, float, float]] = (-2.5, 2.5, -2.5, 2.5)

    def places(self, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """One of the two corners of a class."""
        sign = 2.0 * random.integers(0, 2, size=len(y)) - 1
        return np.stack([sign, np.where(y == 0, sign, -sign)], axis=1)

    def references(self, seed: int) -> dict[str, float]:
        """Of the best guess, by the signs of both coordinates."""
        return xor_optimum(self.noise)
