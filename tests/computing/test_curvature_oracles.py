"""Curvature of anybody's module, against other packages: hessian-eigenthings, with a Lanczos of its own, and curvlinops."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import hessian_eigenthings as oracle
import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor
from torch.nn import functional

from dropviz.curvature import (
    ggn_trace,
    ggn_vector_product,
    hessian_trace,
    hessian_vector_product,
    spectral_density,
    top_eigenvalues,
)
from tests.computing.matrices import Curved, curved
from tests.computing.twin import flat, seeded

with warnings.catch_warnings():  # what they say of the TorchScript and the types that they use
    warnings.simplefilter("ignore")
    import curvlinops

PRODUCTS: dict[str, Any] = {"hessian": hessian_vector_product, "ggn": ggn_vector_product}
DIGITS = {torch.float64: 1e-9, torch.float32: 1e-5}  # relative

# What forward mode of torch says of itself, under the oracle's Gauss-Newton products.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

every_net = pytest.mark.parametrize("name", ["mlp", "cnn"])
every_matrix = pytest.mark.parametrize("matrix", PRODUCTS)
every_precision = pytest.mark.parametrize("dtype", DIGITS, ids=str)


def subject(name: str, dtype: torch.dtype) -> Curved:
    case = curved(name)
    return Curved(copy.deepcopy(case.model).to(dtype), case.x.to(dtype), case.y)


def operator(case: Curved, matrix: str) -> Any:
    """The same matrix as the oracle has it."""
    batches = [(case.x, case.y)]
    if matrix == "hessian":
        return oracle.HessianOperator(case.model, batches, oracle.supervised_loss(functional.cross_entropy))
    return oracle.GGNOperator(
        case.model,
        batches,
        oracle.supervised_forward,
        oracle.supervised_loss_of_output(functional.cross_entropy),
    )


def exact_trace(of: Any) -> Tensor:
    """By all basis vectors."""
    basis = torch.eye(of.size, dtype=of.dtype)
    return torch.stack([unit @ of.matvec(unit).detach() for unit in basis]).sum()


@every_precision
@every_matrix
@every_net
def test_products_agree(name: str, matrix: str, dtype: torch.dtype) -> None:
    case = subject(name, dtype)
    of = operator(case, matrix)
    for seed in range(3):
        vector = torch.randn(case.count, generator=seeded(seed), dtype=dtype)
        found = flat(PRODUCTS[matrix](*case.arguments, case.by_name(vector)))
        expected = of.matvec(vector)
        assert (found - expected).norm() < DIGITS[dtype] * expected.norm()


def linear_operator(case: Curved, matrix: str) -> Any:
    """The same matrix as curvlinops has it."""
    kind = curvlinops.HessianLinearOperator if matrix == "hessian" else curvlinops.GGNLinearOperator
    parameters = list(case.model.parameters())
    return kind(
        case.model, torch.nn.CrossEntropyLoss(), parameters, [(case.x, case.y)], check_deterministic=False
    )


@every_precision
@every_matrix
@every_net
def test_products_agree_with_curvlinops(name: str, matrix: str, dtype: torch.dtype) -> None:
    case = subject(name, dtype)
    of = linear_operator(case, matrix)
    for seed in range(3):
        vector = torch.randn(case.count, generator=seeded(seed), dtype=dtype)
        found = flat(PRODUCTS[matrix](*case.arguments, case.by_name(vector)))
        expected = of @ vector
        assert (found - expected).norm() < DIGITS[dtype] * expected.norm()


@every_matrix
@every_net
def test_traces_and_eigenvalues_agree_with_curvlinops(name: str, matrix: Any) -> None:
    case = subject(name, torch.float64)
    full = (linear_operator(case, matrix) @ torch.eye(case.count, dtype=torch.float64)).detach()
    largest = eigsh(full.numpy(), k=3, which="LA", return_eigenvectors=False)
    found = top_eigenvalues(*case.arguments, k=3, steps=60, matrix=matrix, generator=seeded())
    np.testing.assert_allclose(found.values, sorted(largest, reverse=True), rtol=1e-7)
    trace = ggn_trace if matrix == "ggn" else hessian_trace
    estimate = trace(*case.arguments, samples=300, generator=seeded())
    assert abs(estimate.mean - float(full.trace())) < 4 * estimate.standard_error


@every_net
def test_traces_agree_with_the_one_by_all_basis_vectors(name: str) -> None:
    case = subject(name, torch.float64)
    exact = exact_trace(operator(case, "hessian"))
    all_of_it = hessian_trace(*case.arguments, samples=2 * case.count, method="xtrace", generator=seeded())
    assert all_of_it.mean == pytest.approx(float(exact), rel=1e-9)
    found = hessian_trace(*case.arguments, samples=300, generator=seeded())
    assert abs(found.mean - float(exact)) < 4 * found.standard_error
    found = ggn_trace(*case.arguments, samples=300, generator=seeded())
    assert abs(found.mean - float(exact_trace(operator(case, "ggn")))) < 4 * found.standard_error


@every_precision
@every_matrix
@every_net
def test_top_eigenvalues_agree(name: str, matrix: Any, dtype: torch.dtype) -> None:
    """With theirs in double precision: in single precision their Lanczos finds eigenvalues twice where the rank is low."""
    case, precise = subject(name, dtype), subject(name, torch.float64)
    found = top_eigenvalues(*case.arguments, k=3, steps=40, matrix=matrix, generator=seeded())
    theirs = oracle.lanczos(operator(precise, matrix), k=3, max_iter=40, which="LA", seed=1)
    torch.testing.assert_close(found.values.double(), theirs.eigenvalues, rtol=DIGITS[dtype], atol=0)
    for vector, other in zip(found.vectors, theirs.eigenvectors, strict=True):
        assert abs(float(flat(vector).double() @ other.detach())) == pytest.approx(1, abs=1e-3)


@every_net
def test_spectral_densities_have_the_same_moments(name: str) -> None:
    case = subject(name, torch.float64)
    ours = spectral_density(*case.arguments, steps=10, probes=100, generator=seeded())
    theirs = oracle.spectral_density(operator(case, "hessian"), num_runs=100, lanczos_steps=10, seed=1)
    for moment in (1, 2):
        one = (ours.weights * ours.nodes**moment).sum(-1)
        other = (theirs.raw_weights * theirs.raw_eigenvalues**moment).sum(-1)
        error = ((one.var() + other.var()) / 100).sqrt()
        assert (one.mean() - other.mean()).abs() < 4 * error
