"""Implicit gradient noise: its mean and its covariance, from masks and by formula, against enumerated masks."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from torch import Tensor

from dropviz.masks import Watch
from dropviz.regularizers import dropout_loss, implicit_term, jacobian_noise, site_jacobians
from tests import reference
from tests.computing.tiny import Tiny, assert_mean, gradients, tiny

COPIES = 3000


def covariance_samples(noise: Tensor) -> Tensor:
    """The outer product of each sample with itself: (S, P, P)."""
    return noise.unsqueeze(-1) * noise.unsqueeze(-2)


def exact_mean(net: Tiny) -> Tensor:
    return reference.gradient(lambda w: reference.dropout_loss(net.net, w, net.x, net.y, net.p), net.w)


def exact_covariance(net: Tiny) -> Tensor:
    return reference.noise_covariance(net.net, net.w, net.x, net.y, net.p)


def drawn_noise(net: Tiny, *, k: int, mask_noise: bool) -> Tensor:
    """Samples of a step's direction less its exact mean: (S, P)."""
    network, leaves = net.network(COPIES)
    terms = dropout_loss(network, net.draws(COPIES), k=k, mask_noise=mask_noise)
    values = terms.data if terms.implicit is None else terms.data + terms.implicit
    return gradients(values, leaves) - exact_mean(net)


def formula_noise(net: Tiny) -> Tensor:
    """Samples of ξ_approx: (S, P)."""
    network, leaves = net.network(COPIES)
    watch = Watch()
    z = network.forward(watch)
    return gradients(implicit_term(network, z, watch, net.draws(COPIES)), leaves)


def tangents(net: Tiny, copy: int = 0) -> Tensor:
    """η of the first rows as the library draws it: (B, n)."""
    signs = net.draws().signs()
    flat = torch.cat([signs[site][copy] for site in net.model.sites()], dim=-1)
    return flat.double() * sqrt(reference.variance(net.p))


# Masks.


@pytest.mark.parametrize("k", [1, 2, 4])
def test_k_masks_keep_one_kth_of_the_covariance(k: int) -> None:
    net = tiny()
    noise = drawn_noise(net, k=k, mask_noise=False)
    assert_mean(covariance_samples(noise), exact_covariance(net) / k, errors=6)


@pytest.mark.parametrize("k", [2, 3, 8])
def test_mask_noise_restores_the_covariance_of_one_mask(k: int) -> None:
    net = tiny()
    noise = drawn_noise(net, k=k, mask_noise=True)
    assert_mean(covariance_samples(noise), exact_covariance(net), errors=6)


def test_the_samples_are_many_enough_to_miss_an_eighth_of_the_covariance() -> None:
    net = tiny()
    squares = drawn_noise(net, k=8, mask_noise=True).square().sum(-1)
    with pytest.raises(AssertionError, match="standard errors"):
        assert_mean(squares, 7 / 8 * exact_covariance(net).trace())


@pytest.mark.parametrize("k", [2, 8])
def test_mask_noise_has_zero_mean(k: int) -> None:
    net = tiny()
    network, leaves = net.network(COPIES)
    implicit = dropout_loss(network, net.draws(COPIES), k=k, mask_noise=True).implicit
    assert implicit is not None
    assert_mean(gradients(implicit, leaves), 0.0)


def test_mask_noise_is_uncorrelated_with_the_masks_beside_it() -> None:
    net = tiny()
    network, leaves = net.network(COPIES)
    terms = dropout_loss(network, net.draws(COPIES), k=2, mask_noise=True)
    assert terms.implicit is not None
    kept = gradients(terms.data, leaves) - exact_mean(net)
    assert_mean((kept * gradients(terms.implicit, leaves)).sum(-1), 0.0)


def test_mask_noise_leaves_the_first_k_masks_as_they_are() -> None:
    net = tiny()
    network, _ = net.network()
    bare = dropout_loss(network, net.draws(), k=3).data
    torch.testing.assert_close(dropout_loss(network, net.draws(), k=3, mask_noise=True).data, bare)


# Formula.


@pytest.mark.parametrize("dropout_at", [("hidden",), ("input", "hidden2")], ids="+".join)
def test_the_implicit_term_is_the_loss_slope_times_the_jacobian_times_the_signs(
    dropout_at: tuple[str, ...],
) -> None:
    net = tiny(dropout_at=dropout_at, rows=3)
    network, leaves = net.network()
    watch = Watch()
    z = network.forward(watch)
    value = implicit_term(network, z, watch, net.draws())

    def expected(w: Tensor) -> Tensor:
        return reference.noise_term(net.net, w, net.x, net.y, tangents(net))

    torch.testing.assert_close(value, expected(net.w)[None])
    torch.testing.assert_close(gradients(value, leaves)[0], reference.gradient(expected, net.w))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_jacobians_at_hand_give_the_same_noise(activation: str) -> None:
    net = tiny(activation=activation, rows=3)
    network, leaves = net.network(dtype=torch.float32)
    value = jacobian_noise(network, *site_jacobians(network), net.draws())

    def expected(w: Tensor) -> Tensor:
        return reference.noise_term(net.net, w, net.x, net.y, tangents(net))

    close = {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(value, expected(net.w)[None].float(), **close)
    exact = reference.gradient(expected, net.w).float()
    torch.testing.assert_close(gradients(value, leaves)[0], exact, **close)


def test_implicit_noise_has_zero_mean() -> None:
    assert_mean(formula_noise(tiny()), 0.0)


def test_implicit_noise_has_the_covariance_of_its_formula() -> None:
    net = tiny()
    expected = reference.approximate_noise_covariance(net.net, net.w, net.x, net.y, net.p)
    assert_mean(covariance_samples(formula_noise(net)), expected, errors=6)


def test_formula_and_masks_give_the_same_noise_where_units_have_little_influence() -> None:
    net = tiny((2, 6, 3), output_scale=0.05)
    squares = formula_noise(net).square().sum(-1)
    trace = exact_covariance(net).trace()
    error = squares.std() / sqrt(COPIES)
    assert (squares.mean() - trace).abs() < 5 * error + 0.03 * trace
    assert error < 0.02 * trace


def test_the_noise_of_a_minibatch_falls_with_its_size() -> None:
    net = tiny(rows=1)
    wide = Tiny(model=net.model, net=net.net, w=net.w, p=net.p, x=net.x.repeat(4, 1), y=net.y.repeat(4))
    squares = formula_noise(wide).square().sum(-1)
    expected = reference.approximate_noise_covariance(net.net, net.w, net.x, net.y, net.p).trace()
    assert_mean(squares, expected / 4)
