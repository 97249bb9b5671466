"""Sets whose best possible model is known."""

from math import sqrt

import numpy as np


def cosine_basis(count, dimension):
    """Orthonormal rows: the first cosines of the DCT-II."""
    wave = np.cos(np.pi * np.outer(np.arange(count), np.arange(dimension) + 0.5) / dimension)
    return wave * np.where(np.arange(count) == 0, sqrt(1 / dimension), sqrt(2 / dimension))[:, None]
