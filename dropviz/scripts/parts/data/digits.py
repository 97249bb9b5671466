"""Handwritten digits of scikit-learn."""

from sklearn.datasets import load_digits


def examples():
    """1,797 handwritten digits of 8 × 8 pixels in 0 to 1, and their labels."""
    x, y = load_digits(return_X_y=True)
    return x.reshape(-1, 1, 8, 8) / 16, y
