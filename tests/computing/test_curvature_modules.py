"""Curvature of anybody's module, against the full matrices in float64."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropviz import dropout_sites
from dropviz.curvature import (
    aligned,
    ggn_trace,
    ggn_vector_product,
    gradient_noise_alignment,
    hessian_trace,
    hessian_vector_product,
    spectral_density,
    top_eigenvalues,
)
from tests.computing.foreign import Net
from tests.computing.matrices import NETS, Curved, curved
from tests.computing.test_losses import Poisson
from tests.computing.twin import Twin, flat, seeded, shared

PRODUCTS: dict[str, Any] = {"hessian": hessian_vector_product, "ggn": ggn_vector_product}

every_net = pytest.mark.parametrize("name", NETS)
every_matrix = pytest.mark.parametrize("matrix", PRODUCTS)


def some_vector(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, generator=seeded(seed), dtype=torch.float64)


def times(case: Curved, matrix: str, vector: Tensor, **options: Any) -> Tensor:
    return flat(PRODUCTS[matrix](*case.arguments, case.by_name(vector), loss=case.loss, **options))


def assert_measured(found: Any, expected: Tensor | float, *, errors: float = 4.0) -> None:
    assert abs(found.mean - float(expected)) < errors * found.standard_error + 1e-12, (found, expected)


def regression(loss: str) -> Curved:
    case = curved("mlp")
    return Curved(case.model, case.x, torch.rand(5, 3, generator=seeded(), dtype=torch.float64), loss)


# Products.


@every_net
@every_matrix
def test_the_product_is_that_of_the_full_matrix(name: str, matrix: str) -> None:
    case = curved(name)
    vector = some_vector(case.count)
    torch.testing.assert_close(times(case, matrix, vector), case.matrix(matrix) @ vector)


@every_net
@every_matrix
def test_single_precision_gives_the_same_to_its_digits(name: str, matrix: str) -> None:
    case = curved(name)
    single = Curved(copy.deepcopy(case.model).float(), case.x.float(), case.y)
    vector = some_vector(case.count)
    found, expected = times(single, matrix, vector.float()), case.matrix(matrix) @ vector
    assert found.dtype == torch.float32
    assert (found - expected).norm() < 3e-6 * expected.norm()


@every_matrix
@pytest.mark.parametrize("loss", ["half_squared_error", "binary_cross_entropy"])
def test_the_product_is_that_of_other_losses(loss: str, matrix: str) -> None:
    case = regression(loss)
    vector = some_vector(case.count)
    torch.testing.assert_close(times(case, matrix, vector), case.matrix(matrix) @ vector)


@every_matrix
def test_a_loss_of_ones_own_has_both_products(matrix: str) -> None:
    """In a linear model, where both matrices are Σ exp(z_c) x xᵀ for each output."""
    x, y = torch.randn(5, 3, generator=seeded(), dtype=torch.float64), torch.ones(5, 2, dtype=torch.float64)
    case = Curved(nn.Linear(3, 2, bias=False).double(), x, y)
    vector = some_vector(6)
    found = flat(PRODUCTS[matrix](*case.arguments, case.by_name(vector), loss=Poisson()))
    expected = (case.logits(case.start).exp() * (x @ vector.view(2, 3).T)).T @ x / 5
    torch.testing.assert_close(found, expected.flatten())


@every_matrix
def test_rows_count_by_their_weight_and_not_at_all_under_the_ignored_label(matrix: str) -> None:
    case = curved("lstm")
    weights = torch.rand(2, 4, generator=seeded(), dtype=torch.float64)
    labels, vector = case.y.clone(), some_vector(case.count)
    labels[0, 1] = -100
    counted = Curved(case.model, case.x, case.y, weights=weights * (labels >= 0))
    found = times(Curved(case.model, case.x, labels), matrix, vector, weight=weights)
    torch.testing.assert_close(found, counted.matrix(matrix) @ vector)


@every_matrix
def test_frozen_parameters_take_no_part_and_unused_ones_get_zero(matrix: str) -> None:
    model = Net(
        lambda net, x: net.last(net.first(x).tanh()),
        first=nn.Linear(3, 4),
        unused=nn.Linear(2, 2),
        last=nn.Linear(4, 3),
    ).double()
    model.first.bias.requires_grad_(False)
    case = Curved(model, curved("mlp").x, curved("mlp").y)
    vector = some_vector(case.count)
    found = PRODUCTS[matrix](*case.arguments, case.by_name(vector))
    assert list(found) == [name for name, _ in model.named_parameters() if name != "first.bias"]
    assert not found["unused.weight"].any()
    torch.testing.assert_close(flat(found), case.matrix(matrix) @ vector)


@every_matrix
def test_tied_parameters_are_one(matrix: str) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    model[2].weight = model[0].weight
    case = Curved(model, curved("mlp").x, curved("mlp").y)
    vector = some_vector(case.count)
    assert case.count == 15
    torch.testing.assert_close(times(case, matrix, vector), case.matrix(matrix) @ vector)


def test_logits_that_are_linear_in_the_parameters_have_one_matrix() -> None:
    case = Curved(nn.Linear(3, 3).double(), curved("mlp").x, curved("mlp").y)
    vector = some_vector(case.count)
    torch.testing.assert_close(times(case, "hessian", vector), times(case, "ggn", vector))


def test_the_gauss_newton_matrix_needs_no_labels() -> None:
    case = curved("mlp")
    vector = case.by_name(some_vector(case.count))
    without, labelled = (flat(ggn_vector_product(case.model, case.x, y, vector)) for y in (None, case.y))
    assert torch.equal(without, labelled)
    assert ggn_trace(case.model, case.x, generator=seeded()) == ggn_trace(*case.arguments, generator=seeded())


# Traces.


@pytest.mark.parametrize(("method", "samples"), [("hutchinson", 400), ("xtrace", 60)])
@pytest.mark.parametrize("name", ["mlp", "lstm"])
def test_the_trace_is_that_of_the_full_hessian(name: str, method: Any, samples: int) -> None:
    case = curved(name)
    found = hessian_trace(*case.arguments, samples=samples, method=method, generator=seeded())
    assert_measured(found, case.hessian.trace())
    assert found.standard_error < 0.5 * case.hessian.trace().abs()


def test_xtrace_is_exact_with_as_many_products_as_it_can_use() -> None:
    case = curved("mlp")
    found = hessian_trace(*case.arguments, samples=2 * case.count, method="xtrace", generator=seeded())
    assert found.mean == pytest.approx(float(case.hessian.trace()), rel=1e-9)
    assert found.standard_error < 1e-9


def test_xtrace_is_the_nearer_one_at_48_products() -> None:
    case = curved("cnn")
    errors = {
        method: hessian_trace(*case.arguments, samples=48, method=method, generator=seeded()).standard_error
        for method in ("hutchinson", "xtrace")
    }
    assert errors["xtrace"] < errors["hutchinson"] / 2


@every_net
def test_the_gauss_newton_trace_is_that_of_the_full_matrix(name: str) -> None:
    case = curved(name)
    found = ggn_trace(*case.arguments, samples=400, generator=seeded())
    assert_measured(found, case.ggn.trace())
    assert found.standard_error < 0.2 * case.ggn.trace()


def test_the_gauss_newton_trace_weights_its_rows() -> None:
    case = curved("lstm")
    weights = torch.linspace(0, 1, 8, dtype=torch.float64).view(2, 4)
    expected = Curved(case.model, case.x, case.y, weights=weights).ggn.trace()
    assert_measured(ggn_trace(*case.arguments, weight=weights, samples=400, generator=seeded()), expected)


@pytest.mark.parametrize("loss", ["half_squared_error", "binary_cross_entropy"])
def test_the_gauss_newton_trace_is_that_of_other_losses(loss: str) -> None:
    case = regression(loss)
    found = ggn_trace(*case.arguments, loss=loss, samples=400, generator=seeded())
    assert_measured(found, case.ggn.trace())


# Eigenvalues and spectrum.


@every_matrix
@every_net
def test_the_top_eigenvalues_are_those_of_the_full_matrix(name: str, matrix: Any) -> None:
    case = curved(name)
    found = top_eigenvalues(*case.arguments, k=3, steps=40, matrix=matrix, generator=seeded())
    expected = torch.linalg.eigvalsh(case.matrix(matrix)).flip(0)[:3]
    torch.testing.assert_close(found.values, expected)
    assert found.residuals.max() < 1e-6 * expected[0]
    for value, vector in zip(found.values, found.vectors, strict=True):
        v = flat(vector)
        torch.testing.assert_close(v.norm(), torch.ones((), dtype=torch.float64))
        torch.testing.assert_close(case.matrix(matrix) @ v, value * v, rtol=1e-5, atol=1e-6)


def test_an_eigenvalue_lies_within_the_residual_of_each_value_after_few_steps() -> None:
    case = curved("encoder")
    spectrum = torch.linalg.eigvalsh(case.hessian)
    for steps in (2, 4, 8):
        found = top_eigenvalues(*case.arguments, k=2, steps=steps, generator=seeded())
        distances = (spectrum - found.values[:, None]).abs().amin(-1)
        assert (distances <= found.residuals).all()
        vector = flat(found.vectors[1])
        missing = case.hessian @ vector - found.values[1] * vector
        torch.testing.assert_close(missing.norm(), found.residuals[1])


@every_matrix
def test_with_a_step_a_parameter_all_eigenvalues_are_found_those_of_many_dimensions_too(matrix: Any) -> None:
    case = curved("cnn")
    found = top_eigenvalues(*case.arguments, k=case.count, steps=10**6, matrix=matrix, generator=seeded())
    expected = torch.linalg.eigvalsh(case.matrix(matrix)).flip(0)
    torch.testing.assert_close(found.values, expected, rtol=1e-6, atol=1e-9)
    vectors = torch.stack([flat(vector) for vector in found.vectors])
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(case.count, dtype=torch.float64))


def test_a_hessian_of_zero_has_as_many_eigenvalues_as_are_asked_for() -> None:
    model = nn.Linear(2, 3).double()
    x, y = torch.zeros(4, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    model.bias.requires_grad_(False)
    found = top_eigenvalues(model, x, y, k=4, generator=seeded())
    torch.testing.assert_close(found.values, torch.zeros(4, dtype=torch.float64))


def test_single_precision_finds_the_same_eigenvalue() -> None:
    case = curved("encoder")
    found = top_eigenvalues(copy.deepcopy(case.model).float(), case.x.float(), case.y, generator=seeded())
    expected = torch.linalg.eigvalsh(case.hessian)[-1:]
    torch.testing.assert_close(found.values.double(), expected, rtol=1e-5, atol=0)


@every_matrix
def test_the_quadrature_has_the_moments_of_the_spectrum(matrix: Any) -> None:
    case = curved("mlp")
    found = spectral_density(*case.arguments, steps=8, probes=400, matrix=matrix, generator=seeded())
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(400, dtype=torch.float64))
    assert bool((found.nodes.diff(dim=-1) >= 0).all())
    power = torch.eye(case.count, dtype=torch.float64)
    for moment in (1, 2, 3):
        power = power @ case.matrix(matrix)
        samples = (found.weights * found.nodes**moment).sum(-1)
        error = samples.std() / 20
        assert (samples.mean() - power.trace() / case.count).abs() < 4 * error


def test_the_density_converges_to_the_smoothed_spectrum() -> None:
    case = Curved(nn.Linear(3, 2).double(), curved("mlp").x, curved("mlp").y % 2)
    spectrum = torch.linalg.eigvalsh(case.hessian)
    found = spectral_density(*case.arguments, steps=8, probes=600, generator=seeded())
    grid = torch.linspace(float(spectrum.min()) - 1, float(spectrum.max()) + 1, 2001, dtype=torch.float64)
    expected = torch.distributions.Normal(spectrum, 0.1).log_prob(grid[:, None]).exp().mean(-1)
    density = found.density(grid, width=0.1)
    assert (density - expected).abs().max() < 0.05 * expected.max()
    for smoothed in (density, found.density(grid)):
        assert float(smoothed.sum() * (grid[1] - grid[0])) == pytest.approx(1, abs=1e-6)


def test_a_probe_whose_space_is_exhausted_has_nodes_without_weight() -> None:
    """With a Gauss-Newton matrix of rank 4, five steps are all."""
    model = nn.Linear(3, 3, bias=False).double()
    x = torch.randn(2, 3, generator=seeded(), dtype=torch.float64)
    found = spectral_density(model, x, None, steps=9, probes=3, matrix="ggn", generator=seeded())
    assert ((found.weights > 1e-12).sum(-1) <= 5).all()
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(3, dtype=torch.float64))
    assert bool(found.density(torch.linspace(-1, 1, 5)).isfinite().all())


# Dropout's noise and the Hessian.


def exact_alignment(twin: Twin, kind: str) -> tuple[float, float]:
    """tr(HΣ), and tr(H) tr(Σ) / P."""
    covariance = twin.mask_covariance()[1] if kind == "mask" else twin.noise_covariance()
    still = Curved(copy.deepcopy(twin.model).eval(), twin.x, twin.y)
    hessian = still.hessian
    null = hessian.trace() * covariance.trace() / still.count
    return float((hessian * covariance).sum()), float(null)


@pytest.mark.parametrize("kind", ["mask", "analytic"])
@pytest.mark.parametrize("name", ["pooled channel dropout", "coupled rows"])
def test_the_alignment_and_its_null_are_those_of_the_enumerated_covariance(name: str, kind: Any) -> None:
    twin = shared(name)
    expected, null = exact_alignment(twin, kind)
    found = gradient_noise_alignment(twin.model, twin.x, twin.y, kind=kind, samples=600, generator=seeded())
    assert_measured(found.alignment, expected)
    assert_measured(found.null, null)
    assert_measured(found.ratio, expected / null)
    assert found.ratio.mean == pytest.approx(found.alignment.mean / found.null.mean)


def test_the_standard_errors_of_null_and_ratio_are_their_spread() -> None:
    """Over many repetitions of 100 pairs that hang together, and of independent traces."""
    random = seeded()
    one, other, third = torch.randn(3, 100, 4000, generator=random, dtype=torch.float64)
    found = aligned(3 + 2 * one + other, 2 + one, 5 + 5 * third, 10)
    for name, expected in (("value", 3), ("null", 5 * 2 / 10), ("ratio", 10 * 3 / (5 * 2))):
        assert found[name].mean() == pytest.approx(expected, rel=0.03)
        error = found[f"{name}_se"].square().mean().sqrt()
        assert float(error / found[name].std()) == pytest.approx(1, abs=0.1)


def test_noise_of_a_site_without_effect_has_no_ratio() -> None:
    model = Net(
        lambda net, x: (net.drop(net.other(x)), net.last(x))[1],
        other=nn.Linear(3, 2),
        drop=nn.Dropout(0.5),
        last=nn.Linear(3, 3),
    ).double()
    found = gradient_noise_alignment(model, curved("mlp").x, curved("mlp").y, samples=2)
    assert found.alignment.mean == found.null.mean == 0
    assert found.ratio.mean != found.ratio.mean


def test_the_case_nets_drop_in_train_mode_and_not_in_eval_mode() -> None:
    """So that eval mode is what leaves dropout out above."""
    for name in ("mlp", "lstm", "encoder"):
        case = curved(name)
        assert not dropout_sites(case.model, case.x)
        assert dropout_sites(copy.deepcopy(case.model).train(), case.x)
