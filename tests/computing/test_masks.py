"""Masks: the right rate at every lane, independent draws, and sites that can be differentiated at."""

from __future__ import annotations

import hashlib
from math import sqrt

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from dropviz.masks import (
    LEVELS,
    Draws,
    Multiply,
    Record,
    Watch,
    factors,
    keep_all,
    rounded,
    signs,
    uniforms,
    variance,
)
from tests import reference
from tests.computing.tiny import assert_mean

RATES = [0.0, 1 / LEVELS, 0.2, 0.25, 0.5, 0.9, 1 - 1 / LEVELS]
EVERY_FRACTION = torch.arange(-LEVELS // 2, LEVELS // 2).to(torch.int16)


def draws(
    p: float = 0.3, *, seeds: tuple[int, ...] = (0,), rows: int = 50, width: int = 40, ahead: int = 256
) -> Draws:
    """Two sites of the same width."""
    shapes = {"hidden1": (rows, width), "hidden2": (rows, width)}
    return Draws(seeds, shapes, p, ahead=ahead)


def masks_at(step: int, replicas: int = 1, **options: float | tuple[int, ...]) -> dict[str, Tensor]:
    """The masks of one step, drawn on their own."""
    found = draws(ahead=1, **options)
    found.step = step
    return found.masks(replicas)


def assert_uncorrelated(one: Tensor, other: Tensor) -> None:
    one, other = (
        one.double().flatten() - one.double().mean(),
        other.double().flatten() - other.double().mean(),
    )
    correlation = (one @ other) / (one.norm() * other.norm())
    assert abs(correlation.item()) < 5 / sqrt(len(one))


# The rate.


@pytest.mark.parametrize("p", RATES)
def test_exactly_the_share_p_of_all_fractions_drops(p: float) -> None:
    dropped = (factors(p)(EVERY_FRACTION) == 0).sum().item()
    assert dropped == round(p * LEVELS)


@pytest.mark.parametrize("p", RATES[:-1])
def test_the_mean_factor_is_one_and_its_variance_is_v(p: float) -> None:
    values = factors(p)(EVERY_FRACTION).double()
    assert values.mean().item() == pytest.approx(1, rel=1e-6)
    assert values.var(correction=0).item() == pytest.approx(variance(p), rel=1e-5)
    assert variance(p) == pytest.approx(reference.variance(rounded(p)))


@pytest.mark.parametrize("p", [0.1, 1 / 3, 0.5])
def test_p_is_rounded_to_the_nearest_sixteen_bit_fraction(p: float) -> None:
    assert rounded(p) * LEVELS == round(p * LEVELS)
    assert abs(rounded(p) - p) <= 0.5 / LEVELS
    assert rounded(rounded(p)) == rounded(p)


def test_p_is_never_rounded_up_to_one() -> None:
    assert rounded(1 - 1e-9) == 1 - 1 / LEVELS
    assert variance(1 - 1e-9) == LEVELS - 1


@pytest.mark.parametrize("lane", range(4))
@pytest.mark.parametrize("p", [0.1, 0.5, 0.7])
def test_every_lane_drops_at_the_rate_p(p: float, lane: int) -> None:
    mask = draws(p, rows=400, width=400).masks(1)["hidden1"].flatten()[lane::4]
    assert abs((mask == 0).double().mean().item() - p) < 5 * sqrt(p * (1 - p) / len(mask))


def test_a_drawn_mask_takes_only_its_two_values() -> None:
    mask = draws(0.25).masks(3)["hidden1"]
    assert mask.unique().tolist() == pytest.approx([0.0, 4 / 3])


def test_signs_are_fair_and_uniforms_fill_the_open_interval() -> None:
    assert signs(EVERY_FRACTION).sum().item() == 0
    assert signs(EVERY_FRACTION).unique().tolist() == [-1.0, 1.0]
    values = uniforms(torch.stack([EVERY_FRACTION, EVERY_FRACTION], dim=-1))
    assert 0 < values.min().item() < 1 / LEVELS**2
    assert 1 - 1 / LEVELS**2 < values.max().item() < 1
    assert values.mean().item() == pytest.approx(0.5)
    assert (values.sort().values * LEVELS).long().tolist() == list(range(LEVELS))


# Independence.


def test_neighbouring_units_rows_and_lanes_are_independent() -> None:
    mask = draws(rows=200, width=200).masks(1)["hidden1"][0, 0]
    for shift in range(1, 9):
        assert_uncorrelated(mask[:, :-shift], mask[:, shift:])
        assert_uncorrelated(mask[:-shift], mask[shift:])


def test_seeds_replicas_sites_and_steps_are_independent() -> None:
    now, later = masks_at(5, 2, seeds=(0, 1)), masks_at(6, 2, seeds=(0, 1))
    pairs = {
        "seed": (now["hidden1"][0], now["hidden1"][1]),
        "replica": (now["hidden1"][:, 0], now["hidden1"][:, 1]),
        "site": (now["hidden1"], now["hidden2"]),
        "step": (now["hidden1"], later["hidden1"]),
    }
    for one, other in pairs.values():
        assert_uncorrelated(one, other)


def test_each_purpose_draws_from_a_stream_of_its_own() -> None:
    shapes = {"hidden": (30, 30)}
    one, other = (Draws((0,), shapes, 0.5, purpose=purpose) for purpose in ("train", "statistic"))
    assert_uncorrelated(one.masks(1)["hidden"], other.masks(1)["hidden"])
    assert_uncorrelated(one.masks(1)["hidden"][:, 0], one.signs()["hidden"])


# Addresses.


def test_a_seed_draws_the_same_masks_whatever_seeds_run_beside_it() -> None:
    alone, beside = masks_at(9, seeds=(4,)), masks_at(9, seeds=(1, 4, 2))
    for site in alone:
        assert torch.equal(beside[site][1:2], alone[site])


@pytest.mark.parametrize("step", [0, 3, 1000])
def test_a_mask_is_read_off_the_words_of_philox_at_its_address(step: int) -> None:
    """Written out: a stored result means these very masks."""
    digest = hashlib.blake2b(b"train/mask/hidden2/1", digest_size=8).digest()
    counts = 4  # of four words with four lanes each, for 7 × 9 units
    philox = np.random.Philox(key=(11, int.from_bytes(digest, "little")), counter=step * counts)
    lanes = philox.random_raw(4 * counts).view(np.int16)[: 7 * 9].reshape(7, 9).astype(int) + LEVELS // 2
    expected = np.where(lanes / LEVELS < 0.25, 0, 4 / 3)
    found = masks_at(step, 2, seeds=(5, 11), p=0.25, rows=7, width=9)["hidden2"][1, 1]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_replica_draws_the_same_mask_at_every_count() -> None:
    few, many = masks_at(9, 2), masks_at(9, 10)
    for site in few:
        assert torch.equal(many[site][:, :2], few[site])


@pytest.mark.parametrize("step", [0, 1, 254, 255, 256, 257, 700])
def test_a_step_draws_the_same_on_either_side_of_a_buffer_boundary(step: int) -> None:
    buffered = draws(rows=3, width=5)
    for passed in range(max(0, step - 3), step + 1):
        buffered.step = passed
        found = buffered.masks(1)
    for site, mask in masks_at(step, rows=3, width=5).items():
        assert torch.equal(found[site], mask)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_gaussian_masks_are_normal_with_the_mean_and_variance_of_dropout(p: float) -> None:
    found = draws(rows=200, width=300, p=p).gaussian_masks(2)
    for mask in found.values():
        normal = (mask.double() - 1).flatten() / sqrt(variance(p))
        assert_mean(normal, 0.0)
        assert_mean(normal.square(), 1.0)
        assert kstest(normal.numpy(), "norm").pvalue > 1e-4
        first, second = (mask[:, replica].flatten().double() - 1 for replica in (0, 1))
        assert_mean(first * second, 0.0)


def test_all_kinds_of_draws_have_their_shapes() -> None:
    found = draws(seeds=(0, 1, 2), rows=6, width=5)
    assert found.rows == 6
    assert found.masks(4)["hidden2"].shape == (3, 4, 6, 5)
    assert found.signs()["hidden1"].shape == (3, 6, 5)
    assert found.gaussian_masks(2)["hidden2"].shape == (3, 2, 6, 5)
    assert found.output_signs(10).shape == (3, 6, 10)
    assert found.uniforms(4).shape == (3, 6, 4)
    assert found.rademacher("direction", (2, 7)).shape == (3, 2, 7)


# Behaviours of a site.


def test_keeping_all_leaves_the_activations_alone() -> None:
    h = torch.randn(1, 2, 3)
    assert keep_all(h, "hidden") is h


def test_the_first_site_spreads_rows_and_the_next_ones_keep_them() -> None:
    random = torch.Generator().manual_seed(0)
    h = torch.randn(2, 3, 4, generator=random)
    factor = torch.rand(2, 5, 3, 4, generator=random)
    multiply = Multiply({"hidden": factor})
    spread = multiply(h, "hidden")
    assert spread.shape == (2, 15, 4)
    for replica in range(5):
        rows = slice(3 * replica, 3 * replica + 3)
        assert torch.equal(spread[:, rows], h * factor[:, replica])
        assert torch.equal(multiply(spread, "hidden")[:, rows], spread[:, rows] * factor[:, replica])


def test_watching_a_site_takes_its_slope_without_the_skip_connection() -> None:
    h = torch.randn(1, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    watch = Watch()
    output = (h.square() + 3 * watch(h, "hidden")).sum()
    (slope,) = torch.autograd.grad(output, watch.views["hidden"], retain_graph=True)
    torch.testing.assert_close(slope, torch.full_like(h, 3))
    (full,) = torch.autograd.grad(output, h)
    torch.testing.assert_close(full, 2 * h.detach() + 3)


def test_watching_the_input_makes_it_differentiable() -> None:
    x = torch.ones(1, 2, 3)
    view = Watch()(x, "input")
    assert view.requires_grad
    assert not x.requires_grad


def test_recording_notes_the_shape_without_the_seed_axis() -> None:
    record = Record()
    h = torch.zeros(4, 2, 3)
    assert record(h, "hidden") is h
    assert record.shapes == {"hidden": (2, 3)}
