"""Spectral densities on the common grid, against a loop over seeds, nodes and points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dropviz.analysis import density


def random_density(seeds: int, nodes: int) -> np.ndarray:
    """Nodes of all sizes and both signs, and weights that sum to 1."""
    random = np.random.default_rng(7)
    values = random.choice([-1, 1], (seeds, nodes)) * 10 ** random.uniform(-6, 4, (seeds, nodes))
    weights = random.dirichlet(np.ones(nodes), seeds)
    return np.stack([values, weights], axis=-1)


def slow_mean(nodes_and_weights: np.ndarray) -> list[float]:
    """The same mean, one bump after the other."""
    points = [density.LOWEST + density.SPACING * index for index in range(len(density.grid()))]
    total = [0.0] * len(points)
    for seed in nodes_and_weights:
        for value, weight in seed:
            place = math.copysign(math.log10(1 + abs(value) / density.SCALE), value)
            center = min(max(place, points[0]), points[-1])
            bump = [math.exp(-((point - center) ** 2) / (2 * density.WIDTH**2)) for point in points]
            for index, height in enumerate(bump):
                total[index] += weight * height / (sum(bump) * density.SPACING) / len(nodes_and_weights)
    return total


def test_the_mean_is_that_of_a_loop() -> None:
    found = density.averaged(random_density(3, 11))
    np.testing.assert_allclose(found, slow_mean(random_density(3, 11)), rtol=1e-9, atol=1e-300)


def test_no_eigenvalue_is_lost_wherever_it_lies() -> None:
    for value in (-1e9, -1.0, 0.0, 1e-5, 0.37, 42.0, 1e9):
        found = density.averaged(np.array([[[value, 1.0]]]))
        assert found is not None
        assert found.sum() * density.SPACING == pytest.approx(1)


def test_a_seed_that_is_not_finite_is_left_out() -> None:
    both = random_density(2, 5)
    broken = both.copy()
    broken[1, 3, 0] = np.nan
    np.testing.assert_array_equal(density.averaged(broken), density.averaged(both[:1]))
    assert density.averaged(broken[1:]) is None


def test_the_axis_is_odd_and_grows_by_one_a_decade() -> None:
    values = np.array([-20.0, 0.0, 20.0, 200.0])
    places = density.place(values)
    assert places[0] == -places[2]
    assert places[1] == 0
    assert places[3] - places[2] == pytest.approx(1, abs=1e-4)


def test_ticks_are_eigenvalues_at_their_places() -> None:
    places, labels = density.ticks()
    assert places == sorted(places)
    assert {"0", "1", "−0.1", "1000"} <= set(labels)
    for where, label in zip(places, labels, strict=True):
        value = float(label.replace("−", "-"))
        assert where == pytest.approx(float(density.place(np.array(value))), abs=1e-4)
        assert density.LOWEST <= where <= density.HIGHEST
