"""Every data set of examples keeps the contract: splits by the seed, disjoint, and noise on training labels only."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from dropviz.choices import SpecError
from dropviz.datasets import Dataset, Splits, registry
from dropviz.datasets.dataset import redraw_labels, split, standardized
from dropviz.datasets.planar import Planar

KNOWN = [member() for member in registry.members.values()]
SETS = [data for data in KNOWN if not data.missing() and data.task.kind != "language"]
SPLITS = ("train", "validation", "test")
every_set = pytest.mark.parametrize("data", SETS, ids=lambda data: data.name)
every_classification = pytest.mark.parametrize(
    "data", [data for data in SETS if data.task.kind == "classification"], ids=lambda data: data.name
)
every_regression = pytest.mark.parametrize(
    "data", [data for data in SETS if data.task.kind == "regression"], ids=lambda data: data.name
)
every_planar = pytest.mark.parametrize(
    "data", [data for data in SETS if data.planar], ids=lambda data: data.name
)


def noisy(data: Dataset, label_noise: float) -> Splits:
    return with_knobs(data, label_noise=label_noise).load(0)


def with_knobs(data: Dataset, **knobs: object) -> Dataset:
    return type(data).from_table(data.to_table() | knobs)


def as_bytes(splits: Splits) -> bytes:
    return b"".join(array.tobytes() for array in vars(splits).values())


# Contract.


@every_set
def test_splits_have_the_declared_shape(data: Dataset) -> None:
    splits = data.load(0)
    for name in SPLITS:
        x, y = getattr(splits, f"x_{name}"), getattr(splits, f"y_{name}")
        assert x.dtype == np.float32
        assert x.shape == (len(y), *data.task.shape)
        assert np.isfinite(x).all()


@every_classification
def test_every_split_of_a_classification_holds_every_class(data: Dataset) -> None:
    splits = data.load(0)
    for name in SPLITS:
        y = getattr(splits, f"y_{name}")
        assert y.dtype == np.int64
        assert set(np.unique(y)) == set(range(data.task.outputs))


@every_regression
def test_the_targets_of_a_regression_are_standardized_by_the_training_split(data: Dataset) -> None:
    splits = data.load(0)
    for name in SPLITS:
        y = getattr(splits, f"y_{name}")
        assert y.dtype == np.float32
        assert y.shape == (len(y), data.task.outputs)
        assert np.isfinite(y).all()
    np.testing.assert_allclose(splits.y_train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(splits.y_train.std(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("data", KNOWN, ids=lambda data: data.name)
def test_every_set_says_where_it_comes_from(data: Dataset) -> None:
    assert data.title
    assert data.origin
    assert data.licence


@every_set
def test_the_seed_decides_the_splits(data: Dataset) -> None:
    assert as_bytes(data.load(3)) == as_bytes(data.load(3))
    assert as_bytes(data.load(3)) != as_bytes(data.load(4))


@every_set
def test_all_seeds_have_splits_of_the_same_sizes(data: Dataset) -> None:
    one, other = data.load(0), data.load(1)
    assert [a.shape for a in vars(one).values()] == [a.shape for a in vars(other).values()]
    assert abs(len(one.y_validation) - len(one.y_test)) <= 1


@every_set
def test_no_example_stands_in_two_splits(data: Dataset) -> None:
    splits = data.load(0)
    rows = np.concatenate([getattr(splits, f"x_{name}") for name in SPLITS])
    twins = 1 if data.name == "iris" else 0  # two of its flowers measure the same
    assert len(np.unique(rows.reshape(len(rows), -1), axis=0)) == len(rows) - twins


@every_classification
def test_label_noise_touches_training_labels_only(data: Dataset) -> None:
    clean, noise = noisy(data, 0.0), noisy(data, 1.0)
    assert (clean.y_train != noise.y_train).any()
    for name in vars(clean):
        if name != "y_train":
            np.testing.assert_array_equal(getattr(noise, name), getattr(clean, name))


@every_classification
def test_label_noise_gets_the_declared_share_of_labels_wrong(data: Dataset) -> None:
    clean, noise = noisy(data, 0.0), noisy(data, 0.4)
    share = 0.4 * (1 - 1 / data.task.outputs)
    wrong = (clean.y_train != noise.y_train).mean()
    assert abs(wrong - share) < 5 * sqrt(share * (1 - share) / len(clean.y_train))


@every_set
def test_a_data_set_is_read_back_from_its_table(data: Dataset) -> None:
    assert registry.read(data.to_table()) == data
    assert registry.read(data.name) == data


@every_planar
def test_a_planar_set_has_two_features_within_its_extent(data: Dataset) -> None:
    left, right, bottom, top = data.extent
    x = data.load(0).x_test
    inside = (x[:, 0] > left) & (x[:, 0] < right) & (x[:, 1] > bottom) & (x[:, 1] < top)
    assert data.task.shape == (2,)
    assert inside.mean() > 0.98


@every_planar
def test_position_noise_has_the_declared_deviation(data: Dataset) -> None:
    noise = with_knobs(data, noise=0.3).load(0).x_test - with_knobs(data, noise=0.0).load(0).x_test
    assert noise.std() == pytest.approx(0.3, rel=5 / sqrt(2 * noise.size))


def test_data_sets_are_listed_by_name_and_their_bases_are_not() -> None:
    assert list(registry.members) == sorted(registry.members)
    assert {"digits", "two-moons"} <= set(registry.members)
    assert Planar not in registry.members.values()


def test_an_unknown_data_set_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SpecError, match=r"'digit' is not a data set.*did you mean 'digits'"):
        registry.read("digit")


@pytest.mark.parametrize("table", [3, None, {}, {"train_size": 5}])
def test_a_table_without_a_name_is_refused(table: object) -> None:
    with pytest.raises(SpecError, match="does not name a data set: write a table with a name"):
        registry.read(table)


# What many sets share.


def test_splitting_deals_every_example_out_once() -> None:
    x = np.arange(21.0)[:, None]
    splits = split(x, np.arange(21), train_size=8, seed=5)
    dealt = [getattr(splits, f"y_{name}") for name in SPLITS]
    assert [len(part) for part in dealt] == [8, 6, 7]
    assert sorted(np.concatenate(dealt)) == list(range(21))
    for name in SPLITS:
        np.testing.assert_array_equal(getattr(splits, f"x_{name}")[:, 0], getattr(splits, f"y_{name}"))


def test_a_stratified_split_holds_of_each_class_its_share() -> None:
    y = np.repeat([0, 1, 2, 3], [3, 40, 100, 357])
    for seed in range(20):
        splits = split(np.arange(500.0)[:, None], y, train_size=200, seed=seed, stratified=True)
        dealt = np.concatenate([getattr(splits, f"x_{name}")[:, 0] for name in SPLITS])
        assert sorted(dealt) == list(range(500))
        for name, share in (("train", 0.4), ("validation", 0.3), ("test", 0.3)):
            counts = np.bincount(getattr(splits, f"y_{name}"), minlength=4)
            assert np.abs(counts - share * np.bincount(y)).max() < 2
        assert np.bincount(splits.y_train).min() >= 1


def test_a_stratified_split_of_equal_classes_is_equal() -> None:
    y = np.arange(300) % 3
    splits = split(np.zeros((300, 1)), y, train_size=30, seed=0, stratified=True)
    for name, size in (("train", 10), ("validation", 45), ("test", 45)):
        np.testing.assert_array_equal(np.bincount(getattr(splits, f"y_{name}")), size)


def test_a_stratified_split_is_random_within_a_class() -> None:
    x, y = np.arange(1000.0)[:, None], np.arange(1000) // 500
    drawn = [split(x, y, train_size=500, seed=seed, stratified=True).x_train[:, 0] for seed in range(40)]
    counts = np.bincount(np.concatenate(drawn).astype(int), minlength=1000)
    assert np.abs(counts - 20).max() < 5 * sqrt(40 / 4)


def test_what_does_not_vary_in_training_is_standardized_to_zero() -> None:
    x = np.random.default_rng(0).normal(3, 2, size=(60, 3))
    x[:, 1] = 0.1
    order = split(x, np.zeros(60), train_size=20, seed=0)
    held_out = order.x_test.copy()
    held_out[0, 1] = 1e6
    splits = standardized(Splits(**{**vars(order), "x_test": held_out}))
    for name in SPLITS:
        assert (getattr(splits, f"x_{name}")[:, 1] == 0).all()
    mean, deviation = order.x_train[:, 2].mean(), order.x_train[:, 2].std()
    np.testing.assert_allclose(splits.x_test[:, 2], (order.x_test[:, 2] - mean) / deviation, rtol=1e-5)
    np.testing.assert_array_equal(splits.y_train, order.y_train)


def test_labels_are_redrawn_uniformly_from_all_classes() -> None:
    redrawn = redraw_labels(np.zeros(20_000, dtype=np.int64), probability=1.0, classes=5, seed=0)
    counts = np.bincount(redrawn, minlength=5)
    assert np.abs(counts - 4000).max() < 5 * sqrt(4000 * 0.8)


def test_labels_stay_where_the_probability_is_zero() -> None:
    y = np.arange(50) % 3
    np.testing.assert_array_equal(redraw_labels(y, probability=0.0, classes=3, seed=0), y)
