"""The loss at the output: value, slope, root and trace, against plain derivatives of log-softmax."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from dropviz.losses import cross_entropy, hessian_trace, logit_gradient, root_hessian
from tests import reference

CLASSES = [2, 3, 5]


def logits(classes: int, *, scale: float = 2.0) -> Tensor:
    """Random logits, (2, 3, C)."""
    random = torch.Generator().manual_seed(classes)
    return scale * torch.randn(2, 3, classes, generator=random, dtype=torch.float64)


def labels(classes: int) -> Tensor:
    return torch.arange(6).view(2, 3) % classes


def every_sign(classes: int) -> list[Tensor]:
    return [torch.tensor(signs, dtype=torch.float64) for signs in product((-1.0, 1.0), repeat=classes)]


@pytest.mark.parametrize("classes", CLASSES)
def test_cross_entropy_is_minus_the_log_probability_of_each_row(classes: int) -> None:
    z, y = logits(classes), labels(classes)
    expected = torch.stack([reference.loss(*row) for row in zip(z.flatten(0, 1), y.flatten(), strict=True)])
    torch.testing.assert_close(cross_entropy(z, y), expected.view(2, 3))


@pytest.mark.parametrize("classes", CLASSES)
def test_the_logit_gradient_is_the_slope_of_cross_entropy(classes: int) -> None:
    z, y = logits(classes).requires_grad_(), labels(classes)
    (expected,) = torch.autograd.grad(cross_entropy(z, y).sum(), z)
    torch.testing.assert_close(logit_gradient(z, y), expected)


@pytest.mark.parametrize("classes", CLASSES)
def test_the_root_hessian_squares_to_the_output_hessian_over_all_signs(classes: int) -> None:
    z = logits(classes)
    roots = [root_hessian(z, signs.expand_as(z)) for signs in every_sign(classes)]
    found = torch.stack([w.unsqueeze(-1) * w.unsqueeze(-2) for w in roots]).mean(0).flatten(0, 1)
    expected = torch.stack([reference.output_hessian(row) for row in z.flatten(0, 1)])
    torch.testing.assert_close(found, expected)


def test_the_slope_of_the_root_hessian_stays_finite_where_a_probability_vanishes() -> None:
    z = torch.tensor([[[0.0, -2000.0, 3.0]]], dtype=torch.float64).requires_grad_()
    root_hessian(z, torch.ones(1, 1, 3, dtype=torch.float64)).square().sum().backward()
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())


@pytest.mark.parametrize("classes", CLASSES)
def test_the_hessian_trace_from_differences_is_the_full_trace(classes: int) -> None:
    z = logits(classes)
    random = torch.Generator().manual_seed(0)
    jacobian = torch.randn(2, 3, classes, 4, generator=random, dtype=torch.float64)
    differences = jacobian[..., :-1, :] - jacobian[..., -1:, :]
    hessians = torch.stack([reference.output_hessian(row) for row in z.flatten(0, 1)]).view(2, 3, classes, -1)
    full = jacobian.transpose(-1, -2) @ hessians @ jacobian
    expected = full.diagonal(dim1=-2, dim2=-1).sum(-1)
    torch.testing.assert_close(hessian_trace(differences, z.softmax(-1)), expected)
