"""The breast cancer table of scikit-learn."""

from sklearn.datasets import load_breast_cancer


def examples():
    """569 patients, 30 features each, and whether the tumour is malignant (0) or benign (1)."""
    return load_breast_cancer(return_X_y=True)
