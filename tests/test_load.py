"""The load benchmark in small: a real server, three students, five viewers; and the slope that the soak tells."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.load.scene import Crowd, observe
from benchmarks.load.soak import slope


def test_students_launch_and_everybody_sees_points_without_an_error() -> None:
    crowd = Crowd(students=3, viewers=8, settings=["train.steps=20"], earlier=8, afterwards=3.0)
    found = observe(crowd, every=1.0)
    seen = found.findings
    assert seen.errors == []
    assert seen.runs == 3
    assert len(seen.clicks) == len(seen.firsts) == 3
    assert seen.waits
    assert seen.ages
    assert min(seen.ages) > 0
    assert len(seen.visits) >= 2  # of the class, and of runs
    assert found.looks[-1].sessions >= 4  # the students' and that of the class
    assert found.left is not None
    assert found.left.sessions == 0


def test_a_slope_is_that_of_a_line_and_covers_it_under_noise() -> None:
    at = np.arange(0, 1800, 10.0)
    line = slope(at, 200 + 3 * at / 3600)
    assert line.estimate == pytest.approx(3)
    assert (line.lower, line.upper) == pytest.approx((3, 3))
    covered = 0
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(size=len(at))
        found = slope(at, 200 + 3 * at / 3600 + noise)
        covered += found.lower <= 3 <= found.upper
    assert 180 <= covered <= 199


def test_what_grew_only_at_first_is_flat_afterwards() -> None:
    at = np.arange(0, 1800, 10.0)
    assert slope(at, np.minimum(at, 600)).estimate == pytest.approx(0, abs=1e-6)
    noise = np.random.default_rng(0).normal(size=len(at))
    assert slope(at, np.minimum(at, 600) + noise).is_flat
    assert not slope(at, at + noise).is_flat
    assert slope(at, np.full(len(at), 30.0)).is_flat
    assert slope(at, 100 + 0.4 * at / 3600).is_flat  # of 100 MB, in an hour
    assert not slope(at, 100 + 0.6 * at / 3600).is_flat
    assert not slope(at, 100 - 0.6 * at / 3600).is_flat
