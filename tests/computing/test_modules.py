"""The explicit effect in anybody's module: every estimator's value and gradient, against enumerated masks and full Jacobians."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropviz.losses import cross_entropy
from dropviz.masks import keep_all
from dropviz.modules import (
    explicit_regularizer,
    implicit_noise,
    measure_explicit_regularizer,
    noise_covariance_trace,
    second_order_term,
    surrogate_loss,
)
from dropviz.regularizers import exact_regularizer as stacked_regularizer
from dropviz.sites import dropout_sites
from tests import reference
from tests.computing.foreign import CASES, Net
from tests.computing.tiny import Tiny, assert_mean, tiny
from tests.computing.twin import SHARED, Twin, as_vector, flat, module_of, seeded, shared

SITES = [("hidden",), ("input",), ("input", "hidden")]
SAMPLED = ["auto", "root_hessian", "forward", "sampled_label"]
COPIES = 300

every_shared = pytest.mark.parametrize("name", SHARED)
every_hessian = pytest.mark.parametrize("hessian", ["differentiated", "constant"])


def exact_gradient(net: Tiny, hessian: str) -> Tensor:
    constant = hessian == "constant"
    return reference.gradient(
        lambda w: reference.approximate_regularizer(net.net, w, net.x, net.p, constant=constant), net.w
    )


def gradient(model: nn.Module, value: Tensor) -> Tensor:
    return flat(torch.autograd.grad(value, list(model.parameters()), materialize_grads=True))


def samples(model: nn.Module, x: Any, copies: int = COPIES, **choices: Any) -> tuple[Tensor, Tensor]:
    """Values (S,) and gradients (S, P) of independent calls."""
    random, values, gradients = seeded(), [], []
    for _ in range(copies):
        value = explicit_regularizer(model, x, generator=random, **choices)
        values.append(value.detach())
        gradients.append(gradient(model, value))
    return torch.stack(values), torch.stack(gradients)


def assert_measured(found: Any, expected: Tensor | float, *, errors: float = 4.0, part: float = 0.0) -> None:
    distance = abs(found.mean - float(expected))
    allowed = errors * found.standard_error + part * abs(float(expected)) + 1e-12
    assert distance < allowed, (found, float(expected))


# A perceptron, whose rows have masks of their own.


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("dropout_at", SITES, ids="+".join)
@every_hessian
def test_the_exact_value_and_its_gradient_are_the_formula(
    dropout_at: tuple[str, ...], activation: str, hessian: Any
) -> None:
    net = tiny(dropout_at=dropout_at, activation=activation, rows=3)
    model = module_of(net)
    value = explicit_regularizer(model, net.x, estimator="exact", hessian=hessian)
    torch.testing.assert_close(
        value.detach(), reference.approximate_regularizer(net.net, net.w, net.x, net.p)
    )
    value.backward()
    torch.testing.assert_close(as_vector(model), exact_gradient(net, hessian))


@every_hessian
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_before_a_linear_output_the_value_and_its_gradient_are_exact_in_closed_form(
    classes: int, hessian: Any
) -> None:
    net = tiny((2, 4, classes), rows=3)
    model = module_of(net)
    value = explicit_regularizer(model, net.x, hessian=hessian)
    torch.testing.assert_close(
        value.detach(), reference.approximate_regularizer(net.net, net.w, net.x, net.p)
    )
    value.backward()
    torch.testing.assert_close(as_vector(model), exact_gradient(net, hessian))


@every_hessian
@pytest.mark.parametrize("estimator", SAMPLED)
def test_a_sampled_estimator_has_the_exact_mean_in_value_and_gradient(estimator: str, hessian: Any) -> None:
    net = tiny((2, 3, 3), dropout_at=("input", "hidden"))
    model = module_of(net)
    expected = reference.approximate_regularizer(net.net, net.w, net.x, net.p)
    wanted = explicit_regularizer(model, net.x, estimator="exact", hessian=hessian)
    values, found = samples(model, net.x, 800, estimator=estimator, hessian=hessian)
    assert_mean(values, expected)
    assert_mean(found, gradient(model, wanted))


def test_the_samples_are_many_enough_to_tell_the_two_gradients_apart() -> None:
    net = tiny((2, 3, 3), dropout_at=("input", "hidden"))
    model = module_of(net)
    for estimator in SAMPLED:
        _, found = samples(model, net.x, 800, estimator=estimator, hessian="constant")
        wanted = explicit_regularizer(model, net.x, estimator="exact")
        with pytest.raises(AssertionError, match="standard errors"):
            assert_mean(found, gradient(model, wanted))


@pytest.mark.parametrize("estimator", SAMPLED)
def test_averaging_samples_within_a_call_quarters_the_variance_of_four(estimator: str) -> None:
    net = tiny((2, 3, 3), dropout_at=("input", "hidden"))
    model = module_of(net)
    one, four = (samples(model, net.x, 300, estimator=estimator, samples=k)[0].var() for k in (1, 4))
    assert 2.8 < one / four < 5.5


@pytest.mark.parametrize("p", [0.125, 0.5])
def test_monte_carlo_converges_to_the_enumerated_regularizer(p: float) -> None:
    net = tiny((2, 3, 3), dropout_at=("input", "hidden"), p=p, seed=1)
    found = measure_explicit_regularizer(module_of(net), net.x, net.y, masks=4000, generator=seeded())
    expected = reference.explicit_regularizer(net.net, net.w, net.x, net.y, p)
    assert_measured(found, expected)
    assert found.standard_error < expected.abs() / 4


def test_the_standard_error_is_the_spread_of_the_means() -> None:
    net = tiny((2, 3, 3), dropout_at=("input", "hidden"))
    model, random = module_of(net), seeded()
    for draw in (
        lambda: measure_explicit_regularizer(model, net.x, net.y, masks=6, generator=random),
        lambda: second_order_term(model, net.x, net.y, samples=6, generator=random),
        lambda: noise_covariance_trace(model, net.x, net.y, kind="analytic", samples=6, generator=random),
    ):
        found = [draw() for _ in range(150)]
        means = torch.tensor([one.mean for one in found])
        assert_mean(torch.tensor([one.standard_error for one in found]).square(), means.var(), errors=6)


@pytest.mark.parametrize("dropout_at", SITES, ids="+".join)
def test_the_second_order_term_is_the_trace_in_mask_space(dropout_at: tuple[str, ...]) -> None:
    net = tiny(dropout_at=dropout_at)
    found = second_order_term(module_of(net), net.x, net.y, samples=600, generator=seeded())
    rows = zip(net.x, net.y, strict=True)
    exact = torch.stack([reference.second_order_term(net.net, net.w, x, y, net.p) for x, y in rows]).mean()
    assert_measured(found, exact)
    assert found.standard_error < exact.abs() / 4


def test_labels_drawn_from_the_net_make_the_second_order_term_the_regularizer() -> None:
    net = tiny((2, 3, 3), rows=1)
    model = module_of(net)
    likely = model.eval()(net.x).softmax(-1)[0].detach()
    model.train()
    terms = [
        second_order_term(model, net.x, torch.tensor([label]), samples=300, generator=seeded())
        for label in range(3)
    ]
    mean = sum(float(p) * term.mean for p, term in zip(likely, terms, strict=True))
    error = sum(float(p) * term.standard_error for p, term in zip(likely, terms, strict=True))
    exact = explicit_regularizer(model, net.x, estimator="exact").item()
    assert abs(mean - exact) < 4 * error + 1e-12


def test_formula_and_definition_draw_together_as_the_layer_widens() -> None:
    def ratio(width: int) -> tuple[float, float]:
        net = tiny((3, width, 3), p=0.125, rows=32, output_scale=3.0)
        model = module_of(net)
        formula = explicit_regularizer(model, net.x).item()
        likely = model.eval()(net.x).softmax(-1).detach()
        model.train()
        kl = []
        for _ in range(1200):
            masked = model(net.x).log_softmax(-1).detach()  # KL(p₀ ‖ p_ε): R with labels from the model
            kl.append((likely * (likely.log() - masked)).sum(-1).mean())
        found = torch.stack(kl)
        return formula / found.mean().item(), found.std().item() / sqrt(len(kl)) / found.mean().item()

    torch.manual_seed(0)
    ratios = {width: ratio(width) for width in (2, 8, 64)}
    assert abs(ratios[64][0] - 1) < 0.03 + 4 * ratios[64][1]
    assert abs(ratios[2][0] - 1) > abs(ratios[64][0] - 1)
    assert ratios[64][1] < 0.01


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_module_agrees_with_the_stacked_model_of_the_same_weights(activation: str) -> None:
    net = tiny((3, 8, 6, 4), dropout_at=("input", "hidden"), activation=activation, rows=6)
    model = module_of(net)
    network, leaves = net.network()
    ours, theirs = explicit_regularizer(model, net.x, estimator="exact"), stacked_regularizer(network)
    torch.testing.assert_close(ours, theirs[0], rtol=1e-10, atol=1e-12)
    ours.backward()
    expected = torch.autograd.grad(theirs.sum(), leaves)
    torch.testing.assert_close(
        as_vector(model), torch.cat([part.flatten() for part in expected]), rtol=1e-10, atol=1e-12
    )
    data = surrogate_loss(model, net.x, net.y).data
    plain = cross_entropy.value(network.forward(keep_all), net.y[None]).mean()
    torch.testing.assert_close(data, plain, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("estimator", ["exact", *SAMPLED])
def test_float32_gives_what_float64_gives(estimator: Any) -> None:
    net = tiny((3, 8, 6, 4), dropout_at=("input", "hidden"), rows=6)
    found = []
    for dtype in (torch.float32, torch.float64):
        model = module_of(net, dtype)
        value = explicit_regularizer(model, net.x.to(dtype), estimator=estimator, generator=seeded())
        assert value.dtype == dtype
        found.append((value.double().detach(), gradient(model, value).double()))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


# Nets whose rows share masks.


@every_shared
@every_hessian
def test_shared_masks_are_found_and_the_exact_value_and_gradient_are_those_of_the_full_jacobian(
    name: str, hessian: Any
) -> None:
    twin = shared(name)
    value = explicit_regularizer(twin.model, twin.x, estimator="exact", hessian=hessian)
    expected = twin.shares(constant=hessian == "constant").sum()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient(twin.model, value), twin.gradient(expected))


@every_shared
def test_shared_masks_are_found_in_float32(name: str) -> None:
    twin = shared(name)
    expected = twin.shares().sum().detach()
    value = explicit_regularizer(twin.model.float(), twin.x.float(), estimator="exact")
    torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-6)


@every_shared
@pytest.mark.parametrize("estimator", SAMPLED)
def test_a_sampled_estimator_is_unbiased_where_rows_share_masks(name: str, estimator: str) -> None:
    twin = shared(name)
    values, found = samples(twin.model, twin.x, estimator=estimator)
    expected = twin.shares().sum()
    assert_mean(values, expected.detach())
    assert_mean(found, twin.gradient(expected))


@every_shared
def test_the_second_order_term_counts_a_shared_mask_once(name: str) -> None:
    twin = shared(name)
    found = second_order_term(twin.model, twin.x, twin.y, samples=600, generator=seeded())
    assert_measured(found, twin.second_order())


@pytest.mark.parametrize("name", ["pooled channel dropout", "weight drop", "pixels under channel dropout"])
def test_monte_carlo_draws_a_shared_mask_once(name: str) -> None:
    twin = shared(name)
    probabilities, masks = twin.every_mask()
    losses = torch.stack([twin.loss(mask).detach() for mask in masks])
    found = measure_explicit_regularizer(twin.model, twin.x, twin.y, masks=3000, generator=seeded())
    assert_measured(found, probabilities @ losses - twin.loss(twin.still()).detach())


# Any sites.


@pytest.mark.parametrize("estimator", ["exact", *SAMPLED])
def test_the_shares_of_the_sites_sum_to_the_whole(estimator: Any) -> None:
    net = tiny(dropout_at=("input", "hidden"), rows=3)
    model = module_of(net)
    whole = explicit_regularizer(model, net.x, estimator=estimator, generator=seeded())
    shares = explicit_regularizer(model, net.x, estimator=estimator, generator=seeded(), per_site=True)
    assert list(shares) == [site.name for site in dropout_sites(model, net.x)]
    torch.testing.assert_close(torch.stack(list(shares.values())).sum(), whole)
    for share in shares.values():
        assert share > 0


def test_the_share_of_a_site_is_that_of_its_own_coordinates() -> None:
    net = tiny(dropout_at=("input", "hidden"), rows=3)
    twin = Twin(module_of(net), net.x, net.y)
    parts = [part.sum() for part in twin.shares().split(twin.sizes)]
    found = explicit_regularizer(twin.model, net.x, estimator="exact", per_site=True)
    torch.testing.assert_close(list(found.values()), parts)


def test_sites_of_different_p_have_variances_of_their_own() -> None:
    model = nn.Sequential(
        nn.Dropout(0.1), nn.Linear(2, 4), nn.Tanh(), nn.Dropout(0.6), nn.Linear(4, 3)
    ).double()
    twin = Twin(model, torch.randn(3, 2, dtype=torch.float64, generator=seeded()), torch.tensor([0, 1, 2]))
    torch.testing.assert_close(explicit_regularizer(model, twin.x, estimator="exact"), twin.shares().sum())


def logits_of(case: str, classes: int = 3) -> nn.Module:
    """A foreign model with a linear read-out, so that it has logits: a mean over time, or its own."""
    inner = CASES[case].model(torch.float32)

    def call(net: Any, x: Tensor) -> Tensor:
        out = net.inner(x)
        out = out[0] if isinstance(out, tuple) else out
        return net.read(out.flatten(0, -2) if out.ndim == 2 else out.mean(1))

    width = {"encoder": 8, "encoder norm first": 8, "lstm 2 batch first": 5, "cnn": 3}[case]
    torch.manual_seed(3)
    return Net(call, inner=inner, read=nn.Linear(width, classes))


def with_p(model: nn.Module, p: float) -> nn.Module:
    for module in model.modules():
        for name in ("p", "dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, p)
    return model


@pytest.mark.parametrize("case", ["encoder", "encoder norm first", "lstm 2 batch first", "cnn"])
def test_foreign_models_in_float32_agree_with_monte_carlo_where_dropout_has_little_influence(
    case: str,
) -> None:
    model = with_p(logits_of(case), 0.02)
    x = CASES[case].x(torch.float32)[0]
    y = torch.arange(len(x)) % 3
    expansion = second_order_term(model, x, y, samples=200, generator=seeded())
    definition = measure_explicit_regularizer(model, x, y, masks=1500, generator=seeded(1))
    distance = abs(expansion.mean - definition.mean)
    error = sqrt(expansion.standard_error**2 + definition.standard_error**2)
    assert distance < max(0.1 * abs(definition.mean), 4 * error)


@pytest.mark.parametrize("case", ["encoder", "encoder norm first", "lstm 2 batch first", "cnn"])
def test_foreign_models_in_float32_have_the_value_and_gradient_of_their_full_jacobian_in_float64(
    case: str,
) -> None:
    model = logits_of(case)
    x = CASES[case].x(torch.float32)[0]
    value = explicit_regularizer(model, x, estimator="exact")
    found = gradient(model, value).double()
    twin = Twin(model.double(), x.double(), torch.arange(len(x)) % 3)
    expected = twin.shares().sum()
    torch.testing.assert_close(value.double(), expected.detach(), rtol=1e-3, atol=1e-7)
    wanted = twin.gradient(expected)
    assert (found - wanted).norm() < 1e-3 * wanted.norm()


@pytest.mark.parametrize("estimator", SAMPLED)
def test_a_two_layer_lstm_in_float32_can_be_differentiated_by_every_estimator(estimator: Any) -> None:
    model, x = logits_of("lstm 2 batch first"), CASES["lstm 2 batch first"].x(torch.float32)[0]
    value = explicit_regularizer(model, x, estimator=estimator, generator=seeded())
    found = gradient(model, value)
    value64 = explicit_regularizer(model.double(), x.double(), estimator=estimator, generator=seeded())
    wanted = gradient(model, value64)
    torch.testing.assert_close(value.double(), value64, rtol=1e-3, atol=1e-6)
    assert (found.double() - wanted).norm() < 1e-3 * wanted.norm()
    assert set(implicit_noise(model.float(), x, torch.arange(len(x)) % 3)) == {
        name for name, _ in model.named_parameters()
    }
