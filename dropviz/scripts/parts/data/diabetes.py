"""The diabetes table of scikit-learn."""

import numpy as np
from sklearn.datasets import load_diabetes


def examples():
    """442 patients, ten measurements each, and how far the disease went a year later (n, 1)."""
    x, y = load_diabetes(return_X_y=True, scaled=False)
    return x, y[:, None]


def noisy(y):
    """Training targets plus normal noise."""
    noise = generator("data/target-noise").standard_normal(y.shape)
    return (y + TARGET_NOISE * noise).astype(np.float32)
