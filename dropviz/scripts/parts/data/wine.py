"""The wine table of scikit-learn."""

from sklearn.datasets import load_wine


def examples():
    """178 wines, 13 chemical measurements each, and their cultivars."""
    return load_wine(return_X_y=True)
