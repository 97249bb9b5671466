"""Hessian products, trace and largest eigenvalue, against the full matrix in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dropviz.curvature import HessianProduct, hutchinson_trace, largest_eigenvalue
from dropviz.curvature.products import flat
from dropviz.regularizers import plain_loss
from tests import reference
from tests.computing.tiny import Tiny, assert_mean, tiny

NETS = [tiny(rows=4, seed=seed) for seed in range(3)]


def stacked_product() -> HessianProduct:
    """The three nets as one program."""
    networks = [net.network() for net in NETS]
    names = NETS[0].parameters()
    leaves = [
        torch.cat(parts).detach().requires_grad_() for parts in zip(*(p for _, p in networks), strict=True)
    ]
    z = NETS[0].model.forward(dict(zip(names, leaves, strict=True)), torch.stack([n.x for n in NETS]), keep)
    y = torch.stack([net.y for net in NETS])
    loss = -z.log_softmax(-1).gather(-1, y.unsqueeze(-1)).mean(1).sum()
    return HessianProduct(loss, leaves)


def keep(h: Tensor, site: str) -> Tensor:
    return h


def full_hessian(net: Tiny) -> Tensor:
    return reference.hessian(lambda w: reference.plain_loss(net.net, w, net.x, net.y), net.w)


def random_symmetric(size: int = 12, *, copies: int = 2) -> Tensor:
    random = torch.Generator().manual_seed(0)
    matrix = torch.randn(copies, size, size, generator=random, dtype=torch.float64)
    return matrix + matrix.transpose(-1, -2)


def times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def start(copies: int, size: int) -> Tensor:
    return torch.randn(copies, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_product_is_that_of_the_full_hessian_for_every_seed() -> None:
    product = stacked_product()
    vectors = start(*product.shape)
    expected = torch.stack([full_hessian(net) @ vector for net, vector in zip(NETS, vectors, strict=True)])
    torch.testing.assert_close(product(vectors), expected)


def test_one_graph_serves_many_products() -> None:
    net = NETS[0]
    network, leaves = net.network()
    product = HessianProduct(plain_loss(network).total, leaves)
    columns = [product(unit[None])[0] for unit in torch.eye(net.net.count, dtype=torch.float64)]
    torch.testing.assert_close(torch.stack(columns), full_hessian(net))


def test_flat_lays_a_seeds_parameters_end_to_end() -> None:
    network = NETS[0].parameters(2)
    torch.testing.assert_close(flat(list(network.values())), NETS[0].w.expand(2, -1))


def test_the_trace_of_a_diagonal_matrix_needs_one_sign_vector() -> None:
    diagonal = start(2, 7)
    probes = torch.sign(torch.stack([start(2, 7), start(2, 7).flip(1)]))
    trace, error = hutchinson_trace(lambda vector: diagonal * vector, probes)
    torch.testing.assert_close(trace, diagonal.sum(-1))
    torch.testing.assert_close(error, torch.zeros_like(error), atol=1e-12, rtol=0)


def test_the_trace_converges_to_that_of_the_full_hessian() -> None:
    product = stacked_product()
    random = torch.Generator().manual_seed(0)
    probes = torch.randint(0, 2, (400, *product.shape), generator=random).double() * 2 - 1
    exact = torch.stack([full_hessian(net).trace() for net in NETS])
    samples = torch.stack([hutchinson_trace(product, pair)[0] for pair in probes.split(2)])
    assert_mean(samples, exact)
    trace, error = hutchinson_trace(product, probes)
    assert ((trace - exact).abs() < 5 * error).all()
    assert (error < 0.4 * exact).all()


def test_the_standard_error_of_the_trace_is_the_spread_of_its_samples() -> None:
    matrix = random_symmetric(copies=1)[0]
    random = torch.Generator().manual_seed(0)
    probes = torch.randint(0, 2, (6, 3000, 12), generator=random).double() * 2 - 1
    trace, error = hutchinson_trace(lambda vectors: vectors @ matrix, probes)
    assert_mean(error.square(), trace.var())


def test_lanczos_finds_the_largest_eigenvalue_of_the_full_hessian() -> None:
    product = stacked_product()
    found = largest_eigenvalue(product, start(*product.shape), steps=product.shape[1])
    exact = torch.stack([torch.linalg.eigvalsh(full_hessian(net))[-1] for net in NETS])
    torch.testing.assert_close(found.value, exact, rtol=1e-8, atol=1e-10)
    assert found.residual.max() < 1e-6


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_the_residual_is_what_the_vector_lacks_of_an_eigenvector(steps: int) -> None:
    matrix = random_symmetric()
    found = largest_eigenvalue(lambda v: times(matrix, v), start(2, 12), steps=steps)
    missing = times(matrix, found.vector) - found.value.unsqueeze(-1) * found.vector
    torch.testing.assert_close(found.residual, missing.norm(dim=-1))
    torch.testing.assert_close(found.vector.norm(dim=-1), torch.ones(2, dtype=torch.float64))


def test_an_eigenvalue_lies_within_the_residual_of_the_estimate() -> None:
    matrix = random_symmetric()
    found = largest_eigenvalue(lambda v: times(matrix, v), start(2, 12), steps=4)
    distances = (torch.linalg.eigvalsh(matrix) - found.value.unsqueeze(-1)).abs().amin(-1)
    assert (distances <= found.residual * (1 + 1e-9)).all()
    assert (found.residual > 1e-3).all()


def test_started_from_the_eigenvector_lanczos_is_there() -> None:
    matrix = random_symmetric()
    values, vectors = torch.linalg.eigh(matrix)
    found = largest_eigenvalue(lambda v: times(matrix, v), vectors[..., -1], steps=3)
    torch.testing.assert_close(found.value, values[:, -1])
    assert found.residual.max() < 1e-10


def test_lanczos_survives_an_invariant_subspace_of_a_negative_matrix() -> None:
    diagonal = torch.tensor([[-3.0, -1.0, -2.0, -5.0]], dtype=torch.float64)
    unit = torch.tensor([[0.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    found = largest_eigenvalue(lambda v: diagonal * v, unit, steps=3)
    torch.testing.assert_close(found.value, torch.tensor([-1.0], dtype=torch.float64))


def test_a_hessian_of_zero_leaves_a_vector_to_start_the_next_moment_from() -> None:
    found = largest_eigenvalue(lambda v: 0 * v, start(1, 5), steps=3)
    again = largest_eigenvalue(lambda v: 0 * v, found.vector, steps=3)
    torch.testing.assert_close(again.value, torch.zeros(1, dtype=torch.float64))


def test_a_remainder_too_small_to_square_is_no_direction() -> None:
    matrix = torch.tensor([[[1.0, 1e-24], [1e-24, 0.5]]])
    found = largest_eigenvalue(lambda v: times(matrix, v), torch.tensor([[1.0, 0.0]]), steps=2)
    torch.testing.assert_close(found.value, torch.ones(1))
