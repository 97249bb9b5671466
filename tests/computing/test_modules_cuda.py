"""Anybody's module on a GPU: the numbers that the CPU gives, and nothing left behind. Skipped where no GPU is."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropviz import curvature
from dropviz.modules import (
    dropout_loss,
    explicit_regularizer,
    implicit_noise,
    mask_noise,
    measure_explicit_regularizer,
    second_order_term,
    surrogate_loss,
)
from tests.computing.foreign import CASES
from tests.computing.test_modules import logits_of
from tests.computing.twin import flat

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

MODELS = ["encoder", "cnn", "lstm 2 batch first"]
every_model = pytest.mark.parametrize("case", MODELS)


def both(case: str) -> list[tuple[nn.Module, Any, Tensor]]:
    """The model with a minibatch on the CPU, and the same on the GPU."""
    model, x = logits_of(case), CASES[case].x(torch.float32)[0]
    y = torch.arange(len(x)) % 3
    return [(model, x, y), (copy.deepcopy(model).cuda(), x.cuda(), y.cuda())]


@pytest.mark.parametrize("case", ["encoder", "cnn"])
def test_the_exact_value_and_its_gradient_are_those_of_the_cpu(case: str) -> None:
    found = []
    for model, x, _ in both(case):
        value = explicit_regularizer(model, x, estimator="exact")
        slope = flat(torch.autograd.grad(value, list(model.parameters()), materialize_grads=True))
        found.append((value.detach().cpu(), slope.cpu()))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-6)


def test_recurrent_layers_are_differentiated_twice_without_cudnn() -> None:
    _, (model, x, y) = both("lstm 2 batch first")
    with torch.backends.cudnn.flags(enabled=False):
        surrogate_loss(model, x, y).total.backward()


@every_model
def test_monte_carlo_agrees_with_the_cpu(case: str) -> None:
    one, other = (measure_explicit_regularizer(*asked, masks=600) for asked in both(case))
    error = (one.standard_error**2 + other.standard_error**2) ** 0.5
    assert abs(one.mean - other.mean) < 5 * error


@pytest.mark.parametrize("case", ["encoder", "cnn"])
def test_every_call_runs_where_the_model_is_and_reads_no_global_random_numbers(case: str) -> None:
    _, (model, x, y) = both(case)
    before = torch.cuda.get_rng_state_all()
    for estimator in ("auto", "root_hessian", "forward", "sampled_label"):
        surrogate_loss(model, x, y, estimator=estimator).total.backward()
    surrogate_loss(model, x, y, shared_tangent=True).total.backward()
    dropout_loss(model, x, y, k=2, mask_noise=True).total.backward()
    second_order_term(model, x, y, samples=4)
    for noise in (implicit_noise(model, x, y), mask_noise(model, x, y)):
        assert {part.device.type for part in noise.values()} == {"cuda"}
    assert all(map(torch.equal, before, torch.cuda.get_rng_state_all()))


@pytest.mark.parametrize("case", ["encoder", "cnn"])
def test_curvature_is_that_of_the_cpu(case: str) -> None:
    found = [
        curvature.top_eigenvalues(model.eval(), x, y, k=2, steps=30).values.cpu()
        for model, x, y in both(case)
    ]
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-5)
