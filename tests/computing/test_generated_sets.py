"""The generated data sets: their geometry, and that nobody does better than the optimum that they declare."""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi, sqrt

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import entr, expit, log_softmax, ndtr
from scipy.stats import norm

from dropviz.choices import SpecError
from dropviz.datasets import Dataset
from dropviz.datasets.blobs import Blobs
from dropviz.datasets.circles import Circles
from dropviz.datasets.gaussian_mixture import GaussianMixture
from dropviz.datasets.mnist_1d import TEMPLATES, Mnist1d
from dropviz.datasets.optimum import cosine_basis, mixture_optimum, softmax_optimum, xor_optimum
from dropviz.datasets.spirals import Spirals
from dropviz.datasets.teacher_softmax import TeacherSoftmax
from dropviz.datasets.two_moons import TwoMoons
from dropviz.datasets.xor import Xor

# Geometry.


def test_moons_without_noise_lie_on_their_half_circles() -> None:
    splits = TwoMoons(noise=0.0, label_noise=0.0).load(0)
    upper, lower = splits.x_test[splits.y_test == 0], splits.x_test[splits.y_test == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1, atol=1e-6)
    np.testing.assert_allclose(np.hypot(lower[:, 0] - 1, lower[:, 1] - 0.5), 1, atol=1e-6)
    assert (upper[:, 1] >= -1e-6).all()
    assert (lower[:, 1] <= 0.5 + 1e-6).all()
    assert abs(len(upper) - len(lower)) < 5 * sqrt(len(splits.y_test))


def test_circles_without_noise_have_their_radii_and_are_whole() -> None:
    splits = Circles(noise=0.0, inner=0.4).load(0)
    radius = np.where(splits.y_test == 0, 1.0, 0.4)
    np.testing.assert_allclose(np.hypot(*splits.x_test.T), radius, atol=1e-6)
    for label in (0, 1):
        x = splits.x_test[splits.y_test == label]
        quadrants = np.bincount(2 * (x[:, 0] > 0) + (x[:, 1] > 0), minlength=4)
        assert np.abs(quadrants - len(x) / 4).max() < 5 * sqrt(len(x) * 3 / 16)


@pytest.mark.parametrize("turns", [0.5, 1.5, 3.0])
def test_spirals_without_noise_wind_outwards_and_are_half_a_turn_apart(turns: float) -> None:
    splits = Spirals(noise=0.0, turns=turns).load(0)
    radius = np.hypot(*splits.x_test.T)
    angle = 2 * pi * turns * radius / 3 + pi * splits.y_test
    expected = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.testing.assert_allclose(splits.x_test, expected, atol=1e-4)
    assert 2.9 < radius.max() <= 3
    share = (radius < 3 / sqrt(2)).mean()  # half of the disc's area
    assert abs(share - 0.5) < 5 * sqrt(0.25 / len(radius))


def test_blobs_without_noise_are_two_places_at_the_declared_distance() -> None:
    splits = Blobs(noise=0.0, distance=3.0).load(0)
    first, second = (np.unique(splits.x_test[splits.y_test == label], axis=0) for label in (0, 1))
    assert first.shape == second.shape == (1, 2)
    assert np.hypot(*(second - first)[0]) == pytest.approx(3.0)


def test_the_corners_of_xor_are_of_class_1_where_their_signs_differ() -> None:
    splits = Xor(noise=0.0).load(0)
    np.testing.assert_array_equal(np.abs(splits.x_test), 1)
    np.testing.assert_array_equal(splits.y_test == 1, splits.x_test.prod(axis=1) < 0)
    corners = np.unique(splits.x_test, axis=0, return_counts=True)[1]
    assert np.abs(corners - len(splits.y_test) / 4).max() < 5 * sqrt(len(splits.y_test) * 3 / 16)


def test_means_of_a_mixture_have_the_declared_distance_and_their_centre_at_0() -> None:
    data = GaussianMixture(separation=4.0, classes=5, dimension=20, train_size=10_000)
    splits = data.load(0)
    means = np.stack([splits.x_train[splits.y_train == label].mean(axis=0) for label in range(5)])
    error = 5 * sqrt(1 / 2000)
    distances = np.linalg.norm(means[:, None] - means, axis=2)[np.triu_indices(5, 1)]
    assert np.abs(distances - 4).max() < 3 * error
    assert np.abs(means.mean(axis=0)).max() < error
    spread = splits.x_train - means[splits.y_train]
    assert spread.var() == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(("count", "dimension"), [(1, 1), (3, 3), (5, 40)])
def test_cosines_are_orthonormal(count: int, dimension: int) -> None:
    basis = cosine_basis(count, dimension)
    np.testing.assert_allclose(basis @ basis.T, np.eye(count), atol=1e-12)


@pytest.mark.parametrize("member", [GaussianMixture, TeacherSoftmax])
def test_more_classes_than_features_are_refused(member: type[Dataset]) -> None:
    with pytest.raises(SpecError, match="classes = 8 is not possible with dimension = 5: lower it, or raise"):
        member.from_table({"classes": 8, "dimension": 5})


# The optimum, against the true posterior on many draws of the set itself.


def posterior_of_blobs(data: Blobs, x: np.ndarray) -> np.ndarray:
    centre = np.full(2, data.distance / sqrt(8))
    distances = np.stack([((x + centre) ** 2).sum(1), ((x - centre) ** 2).sum(1)], axis=1)
    return log_softmax(-distances / (2 * data.noise**2), axis=1)


def posterior_of_xor(data: Xor, x: np.ndarray) -> np.ndarray:
    density = {
        (i, j): np.exp(-((x - [i, j]) ** 2).sum(1) / (2 * data.noise**2)) for i in (-1, 1) for j in (-1, 1)
    }
    same, other = density[1, 1] + density[-1, -1], density[1, -1] + density[-1, 1]
    return np.log(np.stack([same, other], axis=1)) - np.log(same + other)[:, None]


def posterior_of_mixture(data: GaussianMixture, x: np.ndarray) -> np.ndarray:
    means = data.separation / sqrt(2) * cosine_basis(data.classes, data.dimension)
    distances = ((x[:, None] - (means - means.mean(axis=0))) ** 2).sum(axis=2)
    return log_softmax(-distances / 2, axis=1)


def posterior_of_teacher(data: TeacherSoftmax, x: np.ndarray) -> np.ndarray:
    return log_softmax(data.scale * x @ cosine_basis(data.classes, data.dimension).T, axis=1)


OPTIMA = [
    (Blobs(label_noise=0.0), posterior_of_blobs),
    (Blobs(distance=3.0, noise=2.0, label_noise=0.0), posterior_of_blobs),
    (Xor(label_noise=0.0), posterior_of_xor),
    (Xor(noise=1.0, label_noise=0.0), posterior_of_xor),
    (GaussianMixture(), posterior_of_mixture),
    (GaussianMixture(classes=7, dimension=7, separation=1.0), posterior_of_mixture),
    (TeacherSoftmax(), posterior_of_teacher),
    (TeacherSoftmax(classes=3, dimension=10, scale=0.5), posterior_of_teacher),
]


@pytest.mark.parametrize(("data", "posterior"), OPTIMA, ids=lambda value: getattr(value, "name", ""))
def test_the_true_posterior_reaches_the_declared_optimum(
    data: Dataset, posterior: Callable[[Dataset, np.ndarray], np.ndarray]
) -> None:
    drawn = [data.load(seed) for seed in range(15)]
    x = np.concatenate([part for splits in drawn for part in (splits.x_train, splits.x_test)]).astype(float)
    y = np.concatenate([part for splits in drawn for part in (splits.y_train, splits.y_test)])
    log_p = posterior(data, x)
    losses, right = -log_p[np.arange(len(y)), y], log_p.argmax(axis=1) == y
    optimum = data.references(0)
    assert abs(losses.mean() - optimum["optimum/loss"]) < 4 * losses.std() / sqrt(len(y))
    assert abs(right.mean() - optimum["optimum/accuracy"]) < 4 * right.std() / sqrt(len(y))


@pytest.mark.parametrize("data", [Blobs(), Xor(), GaussianMixture(), TeacherSoftmax()], ids=lambda d: d.name)
def test_the_optimum_is_of_the_clean_population(data: Dataset) -> None:
    noisy = type(data).from_table(data.to_table() | {"label_noise": 0.7, "train_size": 16})
    assert noisy.references(5) == data.references(0)
    assert set(data.references(0)) == {"optimum/loss", "optimum/accuracy"}


@pytest.mark.parametrize("separation", [0.2, 2.0, 5.0])
def test_two_gaussians_have_their_textbook_optimum(separation: float) -> None:
    optimum = mixture_optimum(separation, classes=2)
    assert optimum["optimum/accuracy"] == pytest.approx(ndtr(separation / 2), abs=1e-12)
    margin, deviation = separation**2 / 2, separation  # of the log odds of the true class
    loss = quad(lambda t: norm.pdf(t) * np.logaddexp(0, -(margin + deviation * t)), -12, 12, epsabs=1e-13)[0]
    assert optimum["optimum/loss"] == pytest.approx(loss, abs=1e-10)


@pytest.mark.parametrize("deviation", [0.05, 1.0, 6.0])
def test_a_teacher_of_two_classes_has_the_entropy_of_its_log_odds(deviation: float) -> None:
    optimum = softmax_optimum(deviation, classes=2)
    odds = sqrt(2) * deviation

    def expected(function: Callable[[float], float]) -> float:
        return 2 * quad(lambda t: norm.pdf(t) * function(expit(odds * t)), 0, 12, epsabs=1e-12, limit=200)[0]

    assert optimum["optimum/loss"] == pytest.approx(expected(lambda p: entr(p) + entr(1 - p)), abs=1e-9)
    assert optimum["optimum/accuracy"] == pytest.approx(expected(lambda p: p), abs=1e-6)


def test_without_a_signal_the_optimum_is_chance_and_without_noise_it_is_certainty() -> None:
    chance = {
        "optimum/loss": pytest.approx(log(5), abs=1e-9),
        "optimum/accuracy": pytest.approx(0.2, abs=1e-6),
    }
    certainty = {"optimum/loss": 0, "optimum/accuracy": 1}
    assert mixture_optimum(0.0, classes=5) == chance
    assert softmax_optimum(0.0, classes=5) == chance
    assert mixture_optimum(1e-4, classes=5)["optimum/loss"] == pytest.approx(log(5), abs=1e-6)
    assert mixture_optimum(15.99, classes=5) == pytest.approx(mixture_optimum(16.0, classes=5), abs=1e-9)
    assert xor_optimum(0.1499) == pytest.approx(xor_optimum(0.1501), abs=1e-9)
    assert Blobs(noise=0.0).references(0) == certainty
    assert Xor(noise=0.0).references(0) == certainty
    nothing = Blobs(noise=0.0, distance=0.0).references(0)
    assert nothing == {"optimum/loss": pytest.approx(log(2)), "optimum/accuracy": 0.5}


# MNIST-1D.


def test_a_digit_in_the_middle_is_its_stretched_template() -> None:
    splits = Mnist1d(noise=0.0, translation=0.0).load(0)
    x = splits.x_test.reshape(-1, 40)
    for digit in range(10):
        mean = x[splits.y_test == digit].mean(axis=0)  # shear and stretching average out, all but blurring
        assert np.corrcoef(mean[14:26], TEMPLATES[digit])[0, 1] > 0.8
        assert np.abs(mean[:8]).max() < 0.3
        assert np.abs(mean[-8:]).max() < 0.3


def test_correlated_noise_of_mnist_1d_is_smooth_and_has_the_declared_deviation() -> None:
    noise = (Mnist1d(noise=0.5).load(0).x_test - Mnist1d(noise=0.0).load(0).x_test).reshape(-1, 40)
    assert noise.std() == pytest.approx(0.5, rel=0.05)
    assert (noise[:, 1:] * noise[:, :-1]).mean() / 0.25 == pytest.approx(np.exp(-1 / 16), rel=0.05)
    assert abs((noise[:, 20:] * noise[:, :-20]).mean()) / 0.25 < 0.05


def test_mnist_1d_separates_models_as_its_paper_does() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier

    splits = Mnist1d().load(0)
    x, x_test = splits.x_train.reshape(-1, 40), splits.x_test.reshape(-1, 40)
    linear = LogisticRegression(max_iter=300)
    perceptron = MLPClassifier((100, 100), learning_rate_init=0.003, max_iter=25, random_state=0)
    with pytest.warns(match="Maximum iterations"):
        scores = [m.fit(x, splits.y_train).score(x_test, splits.y_test) for m in (linear, perceptron)]
    neighbours = KNeighborsClassifier(5).fit(x, splits.y_train).score(x_test, splits.y_test)
    assert 0.22 < scores[0] < 0.4
    assert 0.6 < scores[1] < 0.8
    assert 0.6 < neighbours < 0.8
