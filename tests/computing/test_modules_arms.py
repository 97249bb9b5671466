"""Losses and noise of anybody's module: means and covariances against enumerated masks."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropviz.modules import (
    dropout_loss,
    explicit_regularizer,
    implicit_noise,
    mask_noise,
    noise_covariance_trace,
    surrogate_loss,
)
from tests import reference
from tests.computing.tiny import Tiny, assert_mean, tiny
from tests.computing.twin import SHARED, Twin, as_vector, flat, module_of, seeded, shared

COPIES = 1000
MASKS_TO_ENUMERATE = ["pooled channel dropout", "weight drop", "coupled rows"]

every_shared = pytest.mark.parametrize("name", SHARED)


def perceptron() -> tuple[Tiny, nn.Sequential]:
    net = tiny((2, 3, 3), dropout_at=("input", "hidden"))
    return net, module_of(net)


def outer(noise: Tensor) -> Tensor:
    """The outer product of each sample with itself: (S, P, P)."""
    return noise.unsqueeze(-1) * noise.unsqueeze(-2)


def gradient(model: nn.Module, value: Tensor) -> Tensor:
    return flat(
        torch.autograd.grad(value, list(model.parameters()), retain_graph=True, materialize_grads=True)
    )


def drawn(draw: Callable[[torch.Generator], Tensor], copies: int = COPIES) -> Tensor:
    random = seeded()
    return torch.stack([draw(random) for _ in range(copies)])


# Noise.


def test_implicit_noise_has_mean_zero_and_the_covariance_of_its_formula() -> None:
    net, model = perceptron()
    noise = drawn(lambda g: as_vector(model, implicit_noise(model, net.x, net.y, generator=g)), 2000)
    assert_mean(noise, 0.0)
    expected = reference.approximate_noise_covariance(net.net, net.w, net.x, net.y, net.p)
    assert_mean(outer(noise), expected, errors=6)


def test_mask_noise_has_mean_zero_and_the_covariance_over_all_masks() -> None:
    net, model = perceptron()
    noise = drawn(lambda g: as_vector(model, mask_noise(model, net.x, net.y, generator=g)), 2000)
    assert_mean(noise, 0.0)
    assert_mean(outer(noise), reference.noise_covariance(net.net, net.w, net.x, net.y, net.p), errors=6)


@every_shared
def test_implicit_noise_counts_a_shared_mask_once(name: str) -> None:
    twin = shared(name)
    noise = drawn(lambda g: flat(implicit_noise(twin.model, twin.x, twin.y, generator=g)), 600)
    assert_mean(noise, 0.0)
    assert_mean(outer(noise), twin.noise_covariance(), errors=6)


@pytest.mark.parametrize("name", MASKS_TO_ENUMERATE)
def test_mask_noise_draws_a_shared_mask_once(name: str) -> None:
    twin = shared(name)
    noise = drawn(lambda g: flat(mask_noise(twin.model, twin.x, twin.y, generator=g)), 600)
    assert_mean(outer(noise), twin.mask_covariance()[1], errors=6)


def test_the_trace_of_either_noise_is_that_of_its_covariance() -> None:
    net, model = perceptron()
    masks = noise_covariance_trace(model, net.x, net.y, samples=1500, generator=seeded())
    formula = noise_covariance_trace(model, net.x, net.y, kind="analytic", samples=1500, generator=seeded())
    exact = reference.noise_covariance(net.net, net.w, net.x, net.y, net.p).trace()
    approximate = reference.approximate_noise_covariance(net.net, net.w, net.x, net.y, net.p).trace()
    assert abs(masks.mean - exact) < 4 * masks.standard_error
    assert abs(formula.mean - approximate) < 4 * formula.standard_error
    for found in (masks, formula):
        assert found.standard_error < found.mean / 50


def test_noise_comes_by_the_name_of_what_can_be_trained() -> None:
    net, model = perceptron()
    model[1].bias.requires_grad_(False)
    for noise in (implicit_noise(model, net.x, net.y), mask_noise(model, net.x, net.y)):
        assert list(noise) == ["1.weight", "4.weight", "4.bias"]
        for name, parameter in model.named_parameters():
            if name in noise:
                assert noise[name].shape == parameter.shape
                assert not noise[name].requires_grad


# Dropout, with noise given back.


def test_the_dropout_loss_and_its_gradient_average_to_the_enumerated_ones() -> None:
    net, model = perceptron()
    losses, gradients = [], []
    random = seeded()
    for _ in range(COPIES):
        data = dropout_loss(model, net.x, net.y, k=2, generator=random).data
        losses.append(data.detach())
        gradients.append(gradient(model, data))
    assert_mean(torch.stack(losses), reference.dropout_loss(net.net, net.w, net.x, net.y, net.p))
    exact = reference.gradient(lambda w: reference.dropout_loss(net.net, w, net.x, net.y, net.p), net.w)
    model.zero_grad()
    for parameter, part in zip(model.parameters(), split(torch.stack(gradients).mean(0), model), strict=True):
        parameter.grad = part
    spread = torch.stack(gradients).std(0).max() / sqrt(COPIES)
    assert (as_vector(model) - exact).abs().max() < 5 * spread


def split(vector: Tensor, model: nn.Module) -> list[Tensor]:
    parameters = list(model.parameters())
    parts = vector.split([parameter.numel() for parameter in parameters])
    return [part.reshape(parameter.shape) for part, parameter in zip(parts, parameters, strict=True)]


def step_noise(twin: Twin, k: int, copies: int, **noise: bool) -> tuple[Tensor, Tensor]:
    """Samples of a step's direction, and of its second part alone."""
    directions, parts = [], []
    random = seeded()
    for _ in range(copies):
        terms = dropout_loss(twin.model, twin.x, twin.y, k=k, generator=random, **noise)
        directions.append(gradient(twin.model, terms.total))
        parts.append(directions[-1] * 0 if terms.implicit is None else gradient(twin.model, terms.implicit))
    return torch.stack(directions), torch.stack(parts)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("name", ["pooled channel dropout", "weight drop"])
def test_mask_noise_restores_the_covariance_of_one_mask(name: str, k: int) -> None:
    twin = shared(name)
    mean, covariance = twin.mask_covariance()
    directions, noise = step_noise(twin, k, COPIES, mask_noise=True)
    assert_mean(noise, 0.0)
    assert_mean(directions, mean)
    assert_mean(outer(directions - mean), covariance, errors=6)


@pytest.mark.parametrize("k", [2, 3])
def test_without_noise_k_masks_keep_one_kth_of_the_covariance(k: int) -> None:
    twin = shared("weight drop")
    mean, covariance = twin.mask_covariance()
    directions, _ = step_noise(twin, k, COPIES)
    squares = (directions - mean).square().sum(-1)
    assert_mean(squares, covariance.trace() / k)
    with pytest.raises(AssertionError, match="standard errors"):
        assert_mean(squares, covariance.trace())


@pytest.mark.parametrize("k", [2, 3])
def test_analytic_noise_adds_its_share_of_the_covariance_of_the_formula(k: int) -> None:
    twin = shared("weight drop")
    _, noise = step_noise(twin, k, COPIES, analytic_noise=True)
    assert_mean(noise, 0.0)
    assert_mean(outer(noise), (1 - 1 / k) * twin.noise_covariance(), errors=6)


def test_one_mask_lacks_no_noise() -> None:
    net, model = perceptron()
    for choice in ({"mask_noise": True}, {"analytic_noise": True}):
        terms = dropout_loss(model, net.x, net.y, k=1, **choice)
        assert terms.implicit is None or terms.implicit.item() == 0


@pytest.mark.parametrize("choice", ["mask_noise", "analytic_noise"])
def test_noise_leaves_the_masks_beside_it_random_and_the_terms_scalars(choice: str) -> None:
    net, model = perceptron()
    terms = dropout_loss(model, net.x, net.y, k=3, **{choice: True})
    assert terms.data.shape == terms.total.shape == terms.implicit.shape == ()
    terms.total.backward()
    assert as_vector(model).isfinite().all()


# The surrogate.


@pytest.mark.parametrize("estimator", ["exact", "root_hessian", "forward", "sampled_label"])
@pytest.mark.parametrize("name", [None, "sequence, batch first", "weight drop"])
def test_the_gradient_of_the_surrogate_is_that_of_its_terms(name: str | None, estimator: Any) -> None:
    net, model = perceptron()
    twin = Twin(model, net.x, net.y) if name is None else shared(name)
    terms = surrogate_loss(twin.model, twin.x, twin.y, estimator=estimator, generator=seeded())
    parts = [gradient(twin.model, term) for term in (terms.data, terms.explicit, terms.implicit)]
    torch.testing.assert_close(gradient(twin.model, terms.total), torch.stack(parts).sum(0))
    torch.testing.assert_close(parts[0], twin.gradient(twin.loss(twin.still())))
    torch.testing.assert_close(terms.data, twin.loss(twin.still()))
    if estimator == "exact":
        torch.testing.assert_close(parts[1], twin.gradient(twin.shares().sum()))
        # An exact term draws nothing, so the noise is the first draw of the generator in both.
        alone = flat(implicit_noise(twin.model, twin.x, twin.y, generator=seeded()))
        torch.testing.assert_close(parts[2], alone)


@pytest.mark.parametrize("shared_tangent", [False, True])
@pytest.mark.parametrize("name", [None, "sequence, batch first", "weight drop"])
def test_the_direction_of_the_surrogate_is_explicit_in_the_mean_and_implicit_in_the_covariance(
    name: str | None, shared_tangent: bool
) -> None:
    net, model = perceptron()
    twin = Twin(model, net.x, net.y) if name is None else shared(name)
    explicit, implicit, values = [], [], []
    random = seeded()
    for _ in range(500):
        terms = surrogate_loss(
            twin.model, twin.x, twin.y, estimator="forward", shared_tangent=shared_tangent, generator=random
        )
        explicit.append(gradient(twin.model, terms.explicit))
        implicit.append(gradient(twin.model, terms.implicit))
        values.append(terms.explicit.detach())
    regularizer = twin.shares().sum()
    assert_mean(torch.stack(values), regularizer.detach())
    assert_mean(torch.stack(explicit), twin.gradient(regularizer))
    assert_mean(torch.stack(implicit), 0.0)
    assert_mean(outer(torch.stack(implicit)), twin.noise_covariance(), errors=6)


def test_a_shared_tangent_can_hold_the_output_hessian_constant() -> None:
    twin = shared("weight drop")
    gradients = {}
    for hessian in ("differentiated", "constant"):
        gradients[hessian] = drawn(
            lambda g, hessian=hessian: gradient(
                twin.model,
                surrogate_loss(
                    twin.model, twin.x, twin.y, shared_tangent=True, hessian=hessian, generator=g
                ).explicit,
            ),
            500,
        )
        assert_mean(gradients[hessian], twin.gradient(twin.shares(constant=hessian == "constant").sum()))


@pytest.mark.parametrize("shared_tangent", [False, True])
def test_the_surrogate_scales_each_term_by_its_strength(shared_tangent: bool) -> None:
    net, model = perceptron()

    def terms(explicit: float, implicit: float) -> list[Tensor | None]:
        found = surrogate_loss(
            model,
            net.x,
            net.y,
            explicit=explicit,
            implicit=implicit,
            shared_tangent=shared_tangent,
            generator=seeded(),
        )
        return [found.data, found.explicit, found.implicit]

    data, explicit, implicit = terms(1.0, 1.0)
    assert explicit is not None
    assert implicit is not None
    torch.testing.assert_close(terms(3.0, 0.5), [data, 3 * explicit, 0.5 * implicit])
    assert terms(0.0, 0.0)[1:] == [None, None]


def test_training_by_the_surrogate_lowers_it() -> None:
    twin = shared("sequence, batch first")
    optimizer = torch.optim.SGD(twin.model.parameters(), lr=0.2)
    random = seeded()

    def value() -> float:
        return (twin.loss(twin.still()) + twin.shares().sum()).item()

    before = value()
    for _ in range(60):
        optimizer.zero_grad()
        surrogate_loss(twin.model, twin.x, twin.y, generator=random).total.backward()
        optimizer.step()
    assert value() < before - 0.3


def test_both_terms_share_a_tangent_unless_an_estimator_is_chosen_or_one_term_is_off() -> None:
    net, model = perceptron()

    def terms(**choices: Any) -> list[Tensor | None]:
        found = surrogate_loss(model, net.x, net.y, generator=seeded(), **choices)
        return [found.explicit, found.implicit]

    torch.testing.assert_close(terms(), terms(shared_tangent=True))
    exact = explicit_regularizer(model, net.x, estimator="exact")
    torch.testing.assert_close(terms(estimator="exact")[0], exact)
    assert not torch.allclose(terms()[0], exact)
    separate = explicit_regularizer(model, net.x, generator=seeded())
    torch.testing.assert_close(terms(implicit=0.0), [separate, None])
    torch.testing.assert_close(terms(shared_tangent=False)[0], separate)
