"""Points of two classes in the plane."""

import numpy as np


def examples():
    """Points of two classes in the plane, half of each: TRAIN_SIZE for training, 1,000 for validation, 1,000 for the test."""
    random = generator(f"data/{DATA}")
    y = np.arange(TRAIN_SIZE + 2000) % 2
    x = places(y, random)
    return x + POSITION_NOISE * random.standard_normal(x.shape), y
