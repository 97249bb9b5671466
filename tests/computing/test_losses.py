"""Losses at the output: value, gradient, and everything made of the Hessian, against plain derivatives of the value."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian as full_hessian

from dropviz.losses import (
    IGNORED,
    LOSSES,
    IdentityHessian,
    Loss,
    OwnLoss,
    binary_cross_entropy,
    cross_entropy,
    half_squared_error,
    read_loss,
)
from tests import reference

OUTPUTS = [2, 3, 5]
LABELS = {"cross_entropy"}


class Poisson:
    """exp(z) − y z of each output: a caller's own loss, whose Hessian is diag(exp z)."""

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        return (z.exp() - y * z).sum(-1)

    def factor(self, z: Tensor) -> Tensor:
        return (z / 2).exp().diag_embed()


class Dense:
    """½ ‖Mz − y‖² with a matrix of two rows: H_out = MᵀM, and a factor with two columns."""

    def matrix(self, z: Tensor) -> Tensor:
        return torch.arange(2 * z.shape[-1], dtype=z.dtype).view(2, -1).sin()

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        return (z @ self.matrix(z).T - y[..., :2]).square().sum(-1) / 2

    def factor(self, z: Tensor) -> Tensor:
        return self.matrix(z).T.expand(*z.shape[:-1], -1, -1)


EVERY: dict[str, Loss] = {**LOSSES, "own, diagonal": OwnLoss(Poisson()), "own, dense": OwnLoss(Dense())}
every_loss = pytest.mark.parametrize("loss", EVERY.values(), ids=EVERY)
every_size = pytest.mark.parametrize("outputs", OUTPUTS)


class Numbers:
    """Random numbers that were chosen beforehand."""

    def __init__(self, signs: Tensor | None = None, uniform: Tensor | None = None) -> None:
        self.signs, self.uniform = signs, uniform

    def output_signs(self, count: int) -> Tensor:
        assert self.signs is not None
        assert self.signs.shape[-1] == count
        return self.signs

    def uniforms(self, count: int) -> Tensor:
        assert self.uniform is not None
        return self.uniform[..., :count]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits(outputs: int, *, scale: float = 2.0) -> Tensor:
    """Random logits, (2, 3, C)."""
    return scale * torch.randn(2, 3, outputs, generator=seeded(outputs), dtype=torch.float64)


def targets(loss: Loss, outputs: int) -> Tensor:
    if loss.name in LABELS:
        return torch.arange(6).view(2, 3) % outputs
    return torch.rand(2, 3, outputs, generator=seeded(1), dtype=torch.float64)


def output_hessians(loss: Loss, z: Tensor) -> Tensor:
    """By differentiating the value twice, row by row: (2, 3, C, C)."""
    y = targets(loss, z.shape[-1])
    rows = zip(z.flatten(0, 1), y.flatten(0, 1), strict=True)
    found = [
        full_hessian(lambda at, y=y: loss.value(at[None, None], y[None, None]).sum(), z) for z, y in rows
    ]
    return torch.stack(found).view(*z.shape, -1)


@every_size
def test_cross_entropy_is_minus_the_log_probability_of_each_row(outputs: int) -> None:
    z, y = logits(outputs), targets(cross_entropy, outputs)
    expected = torch.stack([reference.loss(*row) for row in zip(z.flatten(0, 1), y.flatten(), strict=True)])
    torch.testing.assert_close(cross_entropy.value(z, y), expected.view(2, 3))


@every_size
def test_half_squared_error_and_binary_cross_entropy_are_summed_over_outputs(outputs: int) -> None:
    z = logits(outputs)
    y = targets(half_squared_error, outputs)
    torch.testing.assert_close(half_squared_error.value(z, y), ((z - y) ** 2 / 2).sum(-1))
    p = 1 / (1 + (-z).exp())
    expected = -(y * p.log() + (1 - y) * (1 - p).log()).sum(-1)
    torch.testing.assert_close(binary_cross_entropy.value(z, y), expected)


@every_size
@every_loss
def test_the_gradient_is_the_slope_of_the_value(loss: Loss, outputs: int) -> None:
    z, y = logits(outputs).requires_grad_(), targets(loss, outputs)
    (expected,) = torch.autograd.grad(loss.value(z, y).sum(), z)
    torch.testing.assert_close(loss.gradient(z, y), expected)
    torch.testing.assert_close(loss.gradient(z.detach(), y), expected)


@every_size
@every_loss
def test_the_gradient_can_be_differentiated(loss: Loss, outputs: int) -> None:
    z, y = logits(outputs).requires_grad_(), targets(loss, outputs)
    (found,) = torch.autograd.grad(loss.gradient(z, y).sum(), z)
    torch.testing.assert_close(found, output_hessians(loss, z.detach()).sum(-1))


@every_size
@every_loss
def test_factor_and_columns_square_to_the_output_hessian(loss: Loss, outputs: int) -> None:
    z = logits(outputs)
    expected, factor = output_hessians(loss, z), loss.factor(z)
    torch.testing.assert_close(factor @ factor.transpose(-1, -2), expected)
    outer = [column.unsqueeze(-1) * column.unsqueeze(-2) for column in loss.columns(z)]
    torch.testing.assert_close(torch.stack(outer).sum(0), expected)


def test_two_classes_have_one_column() -> None:
    assert len(list(cross_entropy.columns(logits(2)))) == 1


@every_size
@every_loss
def test_the_root_squares_to_the_output_hessian_over_all_signs(loss: Loss, outputs: int) -> None:
    z = logits(outputs)
    columns = loss.factor(z).shape[-1]
    every_sign = [torch.tensor(signs, dtype=z.dtype) for signs in product((-1.0, 1.0), repeat=columns)]
    roots = [loss.root(z, Numbers(signs.expand(2, 3, -1))) for signs in every_sign]
    found = torch.stack([w.unsqueeze(-1) * w.unsqueeze(-2) for w in roots]).mean(0)
    torch.testing.assert_close(found, output_hessians(loss, z))


@pytest.mark.parametrize("loss", [cross_entropy, binary_cross_entropy], ids=lambda loss: loss.name)
def test_the_slope_of_the_root_stays_finite_where_a_probability_vanishes(loss: Loss) -> None:
    z = torch.tensor([[[0.0, -2000.0, 3.0]]], dtype=torch.float64).requires_grad_()
    loss.root(z, Numbers(torch.ones(1, 1, 3, dtype=torch.float64))).square().sum().backward()
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())


@every_size
@every_loss
def test_the_quadratic_form_is_that_of_the_output_hessian(loss: Loss, outputs: int) -> None:
    z = logits(outputs)
    t = torch.randn(z.shape, generator=seeded(), dtype=z.dtype)
    expected = (t.unsqueeze(-2) @ output_hessians(loss, z) @ t.unsqueeze(-1)).flatten(2).squeeze(-1)
    torch.testing.assert_close(loss.quadratic(z, t), expected)


@every_size
@every_loss
def test_the_product_is_that_of_the_output_hessian(loss: Loss, outputs: int) -> None:
    z = logits(outputs)
    t = torch.randn(z.shape, generator=seeded(), dtype=z.dtype)
    expected = (output_hessians(loss, z) @ t.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(loss.hessian_product(z, t), expected)


@every_size
@every_loss
def test_the_curvature_along_units_is_the_diagonal_of_the_full_product(loss: Loss, outputs: int) -> None:
    z = logits(outputs)
    directions = loss.directions(z)
    for rows in (1, 3):  # 1: the same for all, as before a linear output
        slopes = torch.randn(2, rows, outputs, 4, generator=seeded(), dtype=torch.float64)
        full = slopes.transpose(-1, -2) @ output_hessians(loss, z) @ slopes
        expected = full.diagonal(dim1=-2, dim2=-1)
        torch.testing.assert_close(loss.curvature(z, slopes), expected)
        torch.testing.assert_close(loss.curvature(z, directions @ slopes), expected)


@every_size
@every_loss
def test_the_directions_carry_the_gradient_in_its_first_numbers(loss: Loss, outputs: int) -> None:
    z, y = logits(outputs), targets(loss, outputs)
    directions, gradient = loss.directions(z), loss.gradient(z, y)
    torch.testing.assert_close(gradient[..., : len(directions)] @ directions, gradient)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_squared_gradient_at_drawn_targets_averages_to_the_output_hessian(loss: Loss) -> None:
    z = logits(3, scale=1.0)[:1, :1]
    many = z.expand(1, 200_000, -1)
    uniform = torch.rand(1, 200_000, 3, generator=seeded(), dtype=torch.float64)
    gradient = loss.gradient(many, loss.sample(many, Numbers(uniform=uniform)))
    found = (gradient.unsqueeze(-1) * gradient.unsqueeze(-2)).mean(1)[0]
    torch.testing.assert_close(found, output_hessians(loss, logits(3, scale=1.0))[0, 0], rtol=0.02, atol=0.01)


@every_loss
def test_the_identity_takes_the_place_of_the_hessian_and_leaves_the_value(loss: Loss) -> None:
    z, y = logits(3), targets(loss, 3)
    instead = IdentityHessian(loss)
    torch.testing.assert_close(instead.value(z, y), loss.value(z, y))
    torch.testing.assert_close(instead.gradient(z, y), loss.gradient(z, y))
    factor = instead.factor(z)
    identity = torch.eye(3, dtype=z.dtype).expand(2, 3, -1, -1) / 3
    torch.testing.assert_close(factor @ factor.transpose(-1, -2), identity)


# Reading a loss, and what a caller may get wrong.


def test_a_loss_is_read_by_its_name_or_as_an_object() -> None:
    assert read_loss("half_squared_error") is half_squared_error
    assert read_loss(cross_entropy) is cross_entropy
    assert isinstance(read_loss(Poisson()), OwnLoss)


@pytest.mark.parametrize(
    "given", ["hinge", "CrossEntropy", None, torch.nn.MSELoss(), torch.nn.functional.cross_entropy, 3]
)
def test_a_loss_without_an_output_hessian_is_refused_with_what_it_needs(given: Any) -> None:
    with pytest.raises(
        ValueError, match=r"has no known Hessian.*choose cross_entropy, .*value\(z, y\).*factor\(z\)"
    ):
        read_loss(given)


def test_an_own_loss_with_numbers_of_the_wrong_shape_is_named() -> None:
    class Mean(Poisson):
        def value(self, z: Tensor, y: Tensor) -> Tensor:
            return super().value(z, y).mean()

        def factor(self, z: Tensor) -> Tensor:
            return z.exp()

    with pytest.raises(ValueError, match=r"Mean\.value gave \(\) for logits \(2, 3, 3\)"):
        OwnLoss(Mean()).value(logits(3), targets(half_squared_error, 3))
    with pytest.raises(ValueError, match=r"Mean\.factor gave \(2, 3, 3\)"):
        OwnLoss(Mean()).factor(logits(3))


def test_an_own_loss_has_no_labels_to_draw() -> None:
    with pytest.raises(ValueError, match="Poisson has no labels to draw: choose another estimator"):
        OwnLoss(Poisson()).sample(logits(3), Numbers())


@pytest.mark.parametrize("shape", [(6,), (2, 3)])
def test_labels_are_taken_in_the_shape_of_the_rows_or_flat(shape: tuple[int, ...]) -> None:
    y, counted = cross_entropy.targets(logits(3), (torch.arange(6) % 3).view(shape), IGNORED)
    assert y.tolist() == [[0, 1, 2, 0, 1, 2]]
    assert counted is None


def test_labels_to_ignore_are_those_that_are_named() -> None:
    _, counted = cross_entropy.targets(logits(3), torch.tensor([0, 1, 2, 9, 1, 9]), 9)
    assert counted is not None
    assert counted.tolist() == [True, True, True, False, True, False]


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        (cross_entropy, torch.zeros(6), "labels are class numbers: use y.long"),
        (cross_entropy, torch.zeros(5, dtype=torch.long), r"y has the shape \(5,\).*\(2, 3\)"),
        (
            cross_entropy,
            torch.full((6,), 3),
            "holds the label 3, but the logits have 3 classes: use 0 to 2, or 7",
        ),
        (cross_entropy, torch.full((6,), 7), "All of y is 7"),
        (half_squared_error, torch.zeros(2, 3), r"needs a target for each output.*\(2, 3, 3\)"),
        (half_squared_error, torch.full((2, 3, 3), torch.nan), "18 of 18 targets in y are not finite"),
        (binary_cross_entropy, torch.full((2, 3, 3), 1.5), "y holds 1.5, but.*probabilities: use 0 to 1"),
    ],
)
def test_targets_that_do_not_go_with_the_logits_are_refused(loss: Loss, y: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loss.targets(logits(3), y, 7 if loss is cross_entropy else IGNORED)


def test_ignored_labels_are_for_classes_only() -> None:
    with pytest.raises(ValueError, match=r"ignore_index = 0 is for class labels.*weight="):
        half_squared_error.targets(logits(3), logits(3), 0)
