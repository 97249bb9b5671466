"""Dropout's explicit effect where it is known in closed form, in both precisions, over all masks or by quadrature."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Any

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn
from torch.autograd import grad

from dropviz.losses import half_squared_error
from dropviz.modules import explicit_regularizer
from dropviz.modules.draws import ModuleDraws
from dropviz.regularizers import Network, exact_regularizer
from dropviz.sites import DropoutSite
from tests import reference
from tests.computing.test_enumerated import P, V, assert_exact, enumerated, every_dtype, stacked_losses
from tests.computing.tiny import Tiny, assert_mean, tiny
from tests.computing.twin import Twin, seeded

# Linear models.


def linear(outputs: int, dtype: torch.dtype) -> tuple[nn.Module, Tensor, Tensor]:
    """Dropout on the input of a linear model, its weights (D, C), and inputs (N, D)."""
    model = nn.Sequential(nn.Dropout(P), nn.Linear(4, outputs)).to(dtype)
    random = seeded(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random))
    x = torch.randn(5, 4, generator=random).to(dtype)
    return model, model[1].weight.detach().double().T, x


@every_dtype
@pytest.mark.parametrize("outputs", [1, 3])
def test_half_squared_error_of_a_linear_model_makes_dropout_on_the_input_ridge(
    outputs: int, dtype: torch.dtype
) -> None:
    model, beta, x = linear(outputs, dtype)
    options = {"loss": "half_squared_error"}
    expected = reference.ridge(beta, x.double(), V)
    y = torch.randn(5, outputs, generator=seeded(2)).to(dtype)
    assert_exact(enumerated(model, x, y, 4, **options), expected, dtype, scale=10)
    for estimator in ("exact", "auto"):
        value = explicit_regularizer(model, x, estimator=estimator, **options)
        assert_exact(value.detach(), expected, dtype, scale=10)
        slope = grad(value, model[1].weight)[0]
        assert_exact(slope.T, V * beta * x.double().square().mean(0)[:, None], dtype, scale=10)
    stacked = Network(
        forward=lambda behaviour: behaviour(x[None], "input") @ beta.to(x)[None],
        y=y[None],
        variances={"input": V},
        loss=half_squared_error,
    )
    assert_exact(exact_regularizer(stacked)[0], expected, dtype, scale=10)


@every_dtype
@pytest.mark.parametrize("estimator", ["exact", "auto"])
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy"])
def test_logistic_regression_has_the_closed_form_of_wager_by_either_loss(
    loss: str, estimator: Any, dtype: torch.dtype
) -> None:
    model, weights, x = linear(1 if loss == "binary_cross_entropy" else 2, dtype)
    with torch.no_grad():
        model[1].bias.zero_()
    beta = (
        weights[:, 0] if loss == "binary_cross_entropy" else weights[:, 1] - weights[:, 0]
    ).requires_grad_()
    expected = reference.logistic(beta, x.double(), V)
    value = explicit_regularizer(model, x, loss=loss, estimator=estimator)
    assert_exact(value.detach(), expected.detach(), dtype)
    slope, wanted = grad(value, model[1].weight)[0], grad(expected, beta)[0]
    assert_exact(slope[-1], wanted, dtype)


# Linear layers.


def layers(sizes: Sequence[int], drop: Sequence[int], dtype: torch.dtype) -> tuple[nn.Module, list[Tensor]]:
    """Linear layers without bias, dropout before those in ``drop``; and their weights (inputs, outputs)."""
    random, parts = seeded(4), []
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        parts += [nn.Dropout(P)] if layer in drop else []
        parts.append(nn.Linear(inputs, outputs, bias=False))
        with torch.no_grad():
            parts[-1].weight.copy_(torch.randn(outputs, inputs, generator=random))
    model = nn.Sequential(*parts).to(dtype)
    return model, [part.detach().double().T for part in model.parameters()]


@every_dtype
def test_between_two_linear_layers_the_regularizer_is_that_of_mianjy(dtype: torch.dtype) -> None:
    model, (a, u) = layers((3, 4, 2), (1,), dtype)
    x, y = torch.randn(5, 3, generator=seeded()).to(dtype), torch.randn(5, 2, generator=seeded(1)).to(dtype)
    expected = reference.two_linear_layers(a, u, x.double(), V)
    assert_exact(enumerated(model, x, y, 4, loss="half_squared_error"), expected, dtype, scale=10)
    for estimator in ("exact", "auto"):
        value = explicit_regularizer(model, x, loss="half_squared_error", estimator=estimator)
        assert_exact(value.detach(), expected, dtype, scale=10)


@every_dtype
def test_deep_linear_layers_have_a_term_for_every_set_of_them_and_the_formula_those_of_one(
    dtype: torch.dtype,
) -> None:
    model, weights = layers((3, 2, 2, 2), (0, 1, 2), dtype)
    x, y = torch.randn(4, 3, generator=seeded()).to(dtype), torch.randn(4, 2, generator=seeded(1)).to(dtype)
    one, more = (reference.linear_layers(weights, x.double(), V, sizes) for sizes in ((1,), (2, 3)))
    assert more > 0.2 * one
    assert_exact(enumerated(model, x, y, 7, loss="half_squared_error"), one + more, dtype, scale=30)
    value = explicit_regularizer(model, x, loss="half_squared_error", estimator="exact")
    assert_exact(value.detach(), one, dtype, scale=30)
    shares = explicit_regularizer(model, x, loss="half_squared_error", estimator="exact", per_site=True)
    assert len(shares) == 3
    second = Twin(model.double(), x.double(), y.double(), reference.half_squared_error).second_order()
    torch.testing.assert_close(second, one)


# Normal noise.


def effect_of(net: Tiny, dtype: torch.dtype, probabilities: Tensor, epsilon: Tensor) -> float:
    """R for the net's own labels, over numbered ε."""
    network, _ = net.network(dtype=dtype)
    with torch.no_grad():
        losses = stacked_losses(net, epsilon.to(dtype), network) - network.plain()[0]
    return float(probabilities @ losses.double())


@every_dtype
def test_normal_noise_has_the_second_order_term_as_its_limit_and_dropout_has_not(dtype: torch.dtype) -> None:
    net = tiny((2, 3, 3), p=P, rows=2, output_scale=2.0)

    def second(p: float) -> float:
        terms = [
            reference.second_order_term(net.net, net.w, x, y, p) for x, y in zip(net.x, net.y, strict=True)
        ]
        return float(torch.stack(terms).mean())

    normal, dropout = [], []
    for v in (0.1, 0.01, 0.001):
        p = v / (1 + v)
        probabilities, places = reference.normal_nodes(3, 9)
        normal.append(effect_of(net, dtype, probabilities, sqrt(v) * places) / second(p) - 1)
        dropout.append(effect_of(net, dtype, *reference.every_mask(3, p)) / second(p) - 1)
    assert abs(normal[2]) < 0.02
    assert abs(normal[1]) < abs(normal[0]) / 5
    assert abs(dropout[2]) > 10 * abs(normal[2])  # all its moments are of the order of p


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_normal_masks_of_a_module_have_the_mean_and_variance_of_dropout(p: float) -> None:
    site = DropoutSite(name="here", p=p, kind="element", shape=(200, 300), mask_shape=(200, 300))
    draws = ModuleDraws({"here": site}, torch.device("cpu"), seeded())
    mask = draws.gaussian_masks(2)["here"]
    assert mask.shape == (1, 2, 200, 300)
    normal = (mask.double() - 1).flatten() / sqrt(reference.variance(p))
    assert_mean(normal, 0.0)
    assert_mean(normal.square(), 1.0)
    assert kstest(normal.numpy(), "norm").pvalue > 1e-4
