"""Two spirals."""

import numpy as np


def places(y, random):
    """Two arms of a spiral from the centre to radius 3, TURNS each and half a turn apart, evenly filled."""
    share = np.sqrt(random.uniform(size=len(y)))
    angle = 2 * np.pi * TURNS * share + np.pi * y
    return (3.0 * share)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
