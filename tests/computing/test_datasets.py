"""Every data set keeps the contract: splits by the seed, disjoint, and label noise on training labels only."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from dropviz.choices import SpecError
from dropviz.datasets import Dataset, Splits, registry
from dropviz.datasets.breast_cancer import BreastCancer
from dropviz.datasets.dataset import redraw_labels, split
from dropviz.datasets.digits import Digits
from dropviz.datasets.two_moons import TwoMoons

SETS = [one for member in registry.members.values() if (one := member()).task.kind != "language"]
SPLITS = ("train", "validation", "test")
every_set = pytest.mark.parametrize("data", SETS, ids=lambda data: data.name)


def noisy(data: Dataset, label_noise: float) -> Splits:
    return type(data).from_table(data.to_table() | {"label_noise": label_noise}).load(0)


def as_bytes(splits: Splits) -> bytes:
    return b"".join(array.tobytes() for array in vars(splits).values())


# Contract.


@every_set
def test_splits_have_the_declared_features_and_classes(data: Dataset) -> None:
    splits = data.load(0)
    for name in SPLITS:
        x, y = getattr(splits, f"x_{name}"), getattr(splits, f"y_{name}")
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert x.shape == (len(y), data.features)
        assert np.isfinite(x).all()
        assert set(np.unique(y)) == set(range(data.classes))


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
    assert len(np.unique(rows, axis=0)) == len(rows)


@every_set
def test_label_noise_touches_training_labels_only(data: Dataset) -> None:
    clean, noise = noisy(data, 0.0), noisy(data, 1.0)
    assert (clean.y_train != noise.y_train).any()
    for name in vars(clean):
        if name != "y_train":
            np.testing.assert_array_equal(getattr(noise, name), getattr(clean, name))


@every_set
def test_label_noise_gets_the_declared_share_of_labels_wrong(data: Dataset) -> None:
    clean, noise = noisy(data, 0.0), noisy(data, 0.4)
    share = 0.4 * (1 - 1 / data.classes)
    wrong = (clean.y_train != noise.y_train).mean()
    assert abs(wrong - share) < 5 * sqrt(share * (1 - share) / len(clean.y_train))


@every_set
def test_a_data_set_is_read_back_from_its_table(data: Dataset) -> None:
    assert registry.read(data.to_table()) == data
    assert registry.read(data.name) == data


@every_set
def test_a_planar_set_has_two_features_within_its_extent(data: Dataset) -> None:
    if not data.planar:
        pytest.skip("not planar")
    left, right, bottom, top = data.extent
    x = data.load(0).x_test
    inside = (x[:, 0] > left) & (x[:, 0] < right) & (x[:, 1] > bottom) & (x[:, 1] < top)
    assert data.features == 2
    assert inside.mean() > 0.98


def test_an_unknown_data_set_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SpecError, match=r"'digit' is not a data set.*did you mean 'digits'"):
        registry.read("digit")


@pytest.mark.parametrize("table", [3, None, {}, {"train_size": 5}])
def test_a_table_without_a_name_is_refused(table: object) -> None:
    with pytest.raises(SpecError, match="does not name a data set: write a table with a name"):
        registry.read(table)


# The two things that all sets share.


def test_splitting_deals_every_example_out_once() -> None:
    x = np.arange(21.0)[:, None]
    splits = split(x, np.arange(21), train_size=8, seed=5)
    dealt = [getattr(splits, f"y_{name}") for name in SPLITS]
    assert [len(part) for part in dealt] == [8, 6, 7]
    assert sorted(np.concatenate(dealt)) == list(range(21))
    for name in SPLITS:
        np.testing.assert_array_equal(getattr(splits, f"x_{name}")[:, 0], getattr(splits, f"y_{name}"))


def test_labels_are_redrawn_uniformly_from_all_classes() -> None:
    redrawn = redraw_labels(np.zeros(20_000, dtype=np.int64), probability=1.0, classes=5, seed=0)
    counts = np.bincount(redrawn, minlength=5)
    assert np.abs(counts - 4000).max() < 5 * sqrt(4000 * 0.8)


def test_labels_stay_where_the_probability_is_zero() -> None:
    y = np.arange(50) % 3
    np.testing.assert_array_equal(redraw_labels(y, probability=0.0, classes=3, seed=0), y)


# The members.


@pytest.mark.parametrize(("data", "examples"), [(Digits(), 1797), (BreastCancer(), 569)])
def test_the_whole_table_is_dealt_out(data: Dataset, examples: int) -> None:
    splits = data.load(0)
    assert len(splits.y_train) == data.train_size
    assert sum(len(getattr(splits, f"y_{name}")) for name in SPLITS) == examples


def test_digits_are_scaled_to_one() -> None:
    x = Digits().load(0).x_train
    assert (x.min(), x.max()) == (0, 1)


def test_breast_cancer_is_standardized_by_the_training_split() -> None:
    splits = BreastCancer().load(0)
    np.testing.assert_allclose(splits.x_train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(splits.x_train.std(axis=0), 1, atol=1e-5)
    assert np.abs(splits.x_test.mean(axis=0)).max() > 1e-3


def test_moons_without_noise_lie_on_their_half_circles() -> None:
    splits = TwoMoons(noise=0.0, label_noise=0.0).load(0)
    upper, lower = splits.x_test[splits.y_test == 0], splits.x_test[splits.y_test == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1, atol=1e-6)
    np.testing.assert_allclose(np.hypot(lower[:, 0] - 1, lower[:, 1] - 0.5), 1, atol=1e-6)
    assert (upper[:, 1] >= -1e-6).all()
    assert (lower[:, 1] <= 0.5 + 1e-6).all()
    assert abs(len(upper) - len(lower)) < 5 * sqrt(len(splits.y_test))


def test_position_noise_has_the_declared_deviation() -> None:
    noise = TwoMoons(noise=0.3).load(0).x_test - TwoMoons(noise=0.0).load(0).x_test
    assert noise.std() == pytest.approx(0.3, rel=5 / sqrt(2 * noise.size))
