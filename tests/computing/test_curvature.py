"""The core of curvature, for stacked parameters: products, traces and Lanczos, against the full matrix in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian as full_jacobian

from dropviz.curvature import (
    GaussNewtonProduct,
    HessianProduct,
    hutchinson_trace,
    lanczos,
    largest_eigenvalue,
    xtrace,
)
from dropviz.curvature.products import flat
from dropviz.masks import keep_all
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
    z = NETS[0].model.forward(
        dict(zip(names, leaves, strict=True)), torch.stack([n.x for n in NETS]), keep_all
    )
    y = torch.stack([net.y for net in NETS])
    loss = -z.log_softmax(-1).gather(-1, y.unsqueeze(-1)).mean(1).sum()
    return HessianProduct(loss, leaves)


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


def test_the_gauss_newton_product_is_that_of_the_full_matrix() -> None:
    net = NETS[0]
    network, leaves = net.network()
    z = network.forward(keep_all)
    product = GaussNewtonProduct(
        z, leaves, lambda moved: network.loss.hessian_product(z.detach(), moved) / z.shape[1]
    )
    columns = [product(unit[None])[0] for unit in torch.eye(net.net.count, dtype=torch.float64)]
    expected = torch.zeros(net.net.count, net.net.count, dtype=torch.float64)
    for x in net.x:
        jacobian = full_jacobian(lambda w, x=x: net.net.logits(w, x, net.net.still()), net.w)
        at = net.net.logits(net.w, x, net.net.still())
        expected += jacobian.T @ reference.output_hessian(at) @ jacobian / len(net.x)
    torch.testing.assert_close(torch.stack(columns), expected)


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


def leave_one_out(matrix: Tensor, probes: Tensor) -> Tensor:
    """XTrace's estimates by its definition, a projection a probe: (m,)."""
    size, found = len(matrix), []
    omega = torch.stack([size**0.5 * probe / probe.norm() for probe in probes])
    for leave in range(len(omega)):
        others = torch.cat([omega[:leave], omega[leave + 1 :]])
        q = torch.linalg.qr(matrix @ others.T)[0]
        rest = omega[leave] - q @ (q.T @ omega[leave])
        rest = rest * (size - q.shape[1]) ** 0.5 / rest.norm()
        found.append((q.T @ matrix @ q).trace() + rest @ matrix @ rest)
    return torch.stack(found)


@pytest.mark.parametrize("count", [2, 5, 12])
def test_xtrace_is_its_definition_for_every_seed(count: int) -> None:
    matrix = random_symmetric()
    probes = torch.randn(count, 2, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    trace, error = xtrace(lambda v: times(matrix, v), probes)
    expected = torch.stack([leave_one_out(matrix[copy], probes[:, copy]) for copy in range(2)])
    torch.testing.assert_close(trace, expected.mean(-1))
    torch.testing.assert_close(error, expected.std(-1) / count**0.5, atol=1e-6, rtol=1e-6)


def decaying(size: int, copies: int, *, signed: bool) -> Tensor:
    random = torch.Generator().manual_seed(3)
    basis = torch.linalg.qr(torch.randn(size, size, generator=random, dtype=torch.float64))[0]
    values = torch.arange(1, size + 1, dtype=torch.float64) ** -1.5
    values[2::3] *= -1 if signed else 1
    return ((basis * values) @ basis.T).expand(copies, -1, -1)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("count", [2, 8])
def test_xtrace_is_unbiased_and_its_error_a_guide(count: int, signed: bool) -> None:
    matrix = decaying(40, 1500, signed=signed)
    probes = torch.randn(count, 1500, 40, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    trace, error = xtrace(lambda v: times(matrix, v), probes)
    exact = matrix[0].trace()
    assert_mean(trace, exact)
    assert 0.75 < error.square().mean().sqrt() / (trace - exact).square().mean().sqrt() < 1.1


def test_xtrace_of_a_matrix_of_low_rank_is_exact() -> None:
    vectors = start(3, 12)
    matrix = (vectors.T @ vectors).expand(1, -1, -1)
    probes = torch.randn(6, 1, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    trace, error = xtrace(lambda v: times(matrix, v), probes)
    torch.testing.assert_close(trace[0], matrix[0].trace())
    assert error.max() < 1e-9
    zero, none = xtrace(lambda v: 0 * v, probes)
    assert zero.item() == none.item() == 0


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


@pytest.mark.parametrize("steps", [1, 4, 12])
def test_every_ritz_value_has_its_vector_and_residual(steps: int) -> None:
    matrix = random_symmetric()
    found = lanczos(lambda v: times(matrix, v), start(2, 12), steps=steps)
    vectors = found.vectors(steps)
    missing = vectors @ matrix - found.values.unsqueeze(-1) * vectors
    torch.testing.assert_close(found.residuals, missing.norm(dim=-1), atol=1e-10, rtol=1e-7)
    torch.testing.assert_close(
        vectors @ vectors.transpose(-1, -2), torch.eye(steps, dtype=torch.float64).expand(2, -1, -1)
    )
    assert found.sizes.tolist() == [steps, steps]


def test_the_weights_integrate_polynomials_to_twice_the_steps_exactly() -> None:
    matrix, first = random_symmetric(), start(2, 12)
    found = lanczos(lambda v: times(matrix, v), first, steps=4)
    unit = first / first.norm(dim=-1, keepdim=True)
    power = unit
    for moment in range(8):
        torch.testing.assert_close((found.weights * found.values**moment).sum(-1), (unit * power).sum(-1))
        power = times(matrix, power)


def test_a_seed_whose_subspace_ends_keeps_its_values_beside_others() -> None:
    diagonal = torch.tensor([[3.0, -1.0, 2.0], [3.0, -1.0, 2.0]], dtype=torch.float64)
    first = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    found = lanczos(lambda v: diagonal * v, first, steps=3)
    assert found.sizes.tolist() == [1, 3]
    torch.testing.assert_close(found.values[:, -1], torch.tensor([-1.0, 3.0], dtype=torch.float64))
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(2, dtype=torch.float64))
    assert (found.weights[0, :-1] == 0).all()


def test_lanczos_asks_for_no_product_once_nothing_is_left() -> None:
    calls = []
    found = lanczos(lambda v: calls.append(1) or 2 * v, start(2, 5), steps=4)  # type: ignore[func-returns-value]
    assert len(calls) == 1
    torch.testing.assert_close(found.values, torch.full((2, 1), 2.0, dtype=torch.float64))


def test_what_counts_as_rounding_can_be_judged_by_a_scale_that_is_known() -> None:
    noise = 1e-20 * random_symmetric()
    blind, told = (
        lanczos(lambda v: times(noise, v), start(2, 12), steps=4, scale=scale)
        for scale in (None, torch.ones(2, dtype=torch.float64))
    )
    assert blind.sizes.tolist() == [4, 4]
    assert told.sizes.tolist() == [1, 1]


def test_a_seed_that_is_not_finite_spoils_no_other() -> None:
    matrix = random_symmetric()
    spoilt = torch.stack([matrix[0], torch.full_like(matrix[1], torch.nan)])
    found = lanczos(lambda v: times(spoilt, v), start(2, 12), steps=4)
    alone = lanczos(lambda v: times(matrix, v), start(2, 12), steps=4)
    assert torch.equal(found.values[0], alone.values[0])
    assert bool(found.values[1].isnan().all())
