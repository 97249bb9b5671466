"""A Gaussian for each class."""

import numpy as np


def examples():
    """Unit-variance Gaussians, any two of whose means are SEPARATION apart; 2,000 examples each are held out."""
    y = np.arange(TRAIN_SIZE + 4000) % CLASSES
    means = SEPARATION / np.sqrt(2) * cosine_basis(CLASSES, DIMENSION)
    noise = generator("data/gaussian-mixture").standard_normal((len(y), DIMENSION))
    return (means - means.mean(axis=0))[y] + noise, y
