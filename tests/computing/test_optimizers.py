"""The optimizers give the numbers of torch.optim."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dropviz.optimizers import Adam, AdamW, Optimizer, Sgd

STEPS = 50
SGD = [(0.0, 0.0), (0.9, 0.0), (0.0, 0.01), (0.9, 0.01)]


def start() -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(2, *shape, generator=random, dtype=torch.float64) for shape in ((3, 4), (1, 4))]


def slopes(parameters: list[Tensor]) -> list[Tensor]:
    """Of a loss that is neither quadratic nor symmetric."""
    return [(3 * parameter).sin() + 0.3 * parameter + 0.1 for parameter in parameters]


def ours(make: Callable[[list[Tensor]], Optimizer]) -> list[Tensor]:
    parameters = start()
    optimizer = make(parameters)
    for count in range(1, STEPS + 1):
        optimizer.step(slopes(parameters), count)
    return parameters


def theirs(make: Callable[[list[Tensor]], torch.optim.Optimizer]) -> list[Tensor]:
    parameters = start()
    optimizer = make(parameters)
    for _ in range(STEPS):
        for parameter, slope in zip(parameters, slopes(parameters), strict=True):
            parameter.grad = slope
        optimizer.step()
    return parameters


@pytest.mark.parametrize(("momentum", "weight_decay"), SGD)
def test_sgd_is_the_sgd_of_torch(momentum: float, weight_decay: float) -> None:
    options = {"momentum": momentum, "weight_decay": weight_decay}
    found = ours(lambda parameters: Sgd(parameters, learning_rate=0.05, **options))
    expected = theirs(lambda parameters: torch.optim.SGD(parameters, lr=0.05, **options))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_adam_is_the_adam_of_torch(weight_decay: float) -> None:
    found = ours(lambda parameters: Adam(parameters, learning_rate=0.05, weight_decay=weight_decay))
    expected = theirs(lambda parameters: torch.optim.Adam(parameters, lr=0.05, weight_decay=weight_decay))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01, 2.0])
def test_adamw_is_the_adamw_of_torch(weight_decay: float) -> None:
    found = ours(lambda parameters: AdamW(parameters, learning_rate=0.05, weight_decay=weight_decay))
    expected = theirs(lambda parameters: torch.optim.AdamW(parameters, lr=0.05, weight_decay=weight_decay))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_without_decay_adamw_is_adam() -> None:
    found, expected = (ours(lambda p, make=make: make(p, learning_rate=0.05)) for make in (AdamW, Adam))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("make", [Sgd, Adam, AdamW])
def test_a_step_leaves_the_gradients_alone(make: Callable[..., Optimizer]) -> None:
    parameters, given = start(), slopes(start())
    kept = [slope.clone() for slope in given]
    make(parameters, learning_rate=0.1, weight_decay=0.1).step(given, 1)
    assert all(torch.equal(slope, before) for slope, before in zip(given, kept, strict=True))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda p: Sgd(p, learning_rate=0.1), set()),
        (lambda p: Sgd(p, learning_rate=0.1, momentum=0.9), {"momentum"}),
        (lambda p: Adam(p, learning_rate=0.1), {"mean", "square"}),
        (lambda p: AdamW(p, learning_rate=0.1), {"mean", "square"}),
    ],
    ids=["sgd", "momentum", "adam", "adamw"],
)
def test_the_state_holds_a_tensor_a_parameter(
    make: Callable[[list[Tensor]], Optimizer], names: set[str]
) -> None:
    parameters = start()
    state = make(parameters).state
    assert set(state) == names
    assert all(
        [value.shape for value in values] == [p.shape for p in parameters] for values in state.values()
    )
