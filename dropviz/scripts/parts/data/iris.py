"""The iris table of scikit-learn."""

from sklearn.datasets import load_iris


def examples():
    """150 flowers, four measurements each, and their species."""
    return load_iris(return_X_y=True)
