"""The optimizers and the schedules of their learning rate give the numbers of torch.optim."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.optim import lr_scheduler

from dropviz.experiment import TrainChoices
from dropviz.optimizers import Adam, AdamW, Optimizer, Sgd, rate_factor

STEPS = 50
SCHEDULES = ["constant", "linear", "cosine"]
SGD = [(0.0, 0.0), (0.9, 0.0), (0.0, 0.01), (0.9, 0.01)]


def start() -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(2, *shape, generator=random, dtype=torch.float64) for shape in ((3, 4), (1, 4))]


def slopes(parameters: list[Tensor]) -> list[Tensor]:
    """Of a loss that is neither quadratic nor symmetric."""
    return [(3 * parameter).sin() + 0.3 * parameter + 0.1 for parameter in parameters]


def ours(
    make: Callable[[list[Tensor]], Optimizer], factor: Callable[[int], float] = lambda step: 1.0
) -> list[Tensor]:
    parameters = start()
    optimizer = make(parameters)
    for step in range(STEPS):
        optimizer.step(slopes(parameters), step + 1, factor(step))
    return parameters


def theirs(
    make: Callable[[list[Tensor]], torch.optim.Optimizer],
    schedule: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler] | None = None,
) -> list[Tensor]:
    parameters = start()
    optimizer = make(parameters)
    scheduler = schedule(optimizer) if schedule else None
    for _ in range(STEPS):
        for parameter, slope in zip(parameters, slopes(parameters), strict=True):
            parameter.grad = slope
        optimizer.step()
        if scheduler:
            scheduler.step()
    return parameters


def twin_schedule(optimizer: torch.optim.Optimizer, choices: TrainChoices) -> lr_scheduler.LRScheduler:
    """The schedule out of torch's parts."""
    rest = choices.steps - choices.warmup
    then: lr_scheduler.LRScheduler = {
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, 1.0),
        "linear": lambda: lr_scheduler.LinearLR(optimizer, 1.0, 0.0, rest),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, rest),
    }[choices.schedule]()
    if not choices.warmup:
        return then
    rise = lr_scheduler.LinearLR(optimizer, 1 / choices.warmup, 1.0, choices.warmup - 1)
    return lr_scheduler.SequentialLR(optimizer, [rise, then], [choices.warmup])


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


@pytest.mark.parametrize("warmup", [0, 1, 7])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("make", "twin"), [(Sgd, torch.optim.SGD), (AdamW, torch.optim.AdamW)])
def test_a_schedule_is_that_of_torch(
    make: Callable[..., Optimizer],
    twin: Callable[..., torch.optim.Optimizer],
    schedule: str,
    warmup: int,
) -> None:
    choices = TrainChoices.from_table({"steps": STEPS, "schedule": schedule, "warmup": warmup})
    found = ours(
        lambda parameters: make(parameters, learning_rate=0.05, weight_decay=0.3),
        lambda step: rate_factor(choices, step),
    )
    expected = theirs(
        lambda parameters: twin(parameters, lr=0.05, weight_decay=0.3),
        lambda optimizer: twin_schedule(optimizer, choices),
    )
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@st.composite
def train_choices(draw: st.DrawFn) -> TrainChoices:
    steps = draw(st.integers(1, 400))
    table = {"steps": steps, "warmup": draw(st.integers(0, steps - 1))}
    return TrainChoices.from_table(table | {"schedule": draw(st.sampled_from(SCHEDULES))})


@given(train_choices())
def test_the_rate_rises_to_its_peak_and_falls_to_0_at_the_end_and_no_update_is_without_effect(
    choices: TrainChoices,
) -> None:
    factors = [rate_factor(choices, step) for step in range(choices.steps + 1)]
    rise, rest = factors[: choices.warmup], factors[choices.warmup :]
    assert all(0 < factor <= 1 for factor in factors[:-1])
    assert all(one < other for one, other in pairwise(rise))
    assert factors[max(0, choices.warmup - 1)] == rest[0] == 1
    assert factors[0] == (1 / choices.warmup if rise else 1)
    if choices.schedule == "constant":
        assert set(rest) == {1}
    else:
        assert all(one > other for one, other in pairwise(rest))
        assert factors[-1] == 0


@given(train_choices())
def test_a_cosine_is_above_the_line_in_its_first_half_and_below_it_in_its_second(
    choices: TrainChoices,
) -> None:
    falling = [
        choices.model_copy(update={"warmup": 0, "schedule": schedule}) for schedule in ("cosine", "linear")
    ]
    for step in range(choices.steps + 1):
        cosine, linear = (rate_factor(one, step) for one in falling)
        assert (cosine - linear) * (linear - 0.5) >= -1e-15


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
