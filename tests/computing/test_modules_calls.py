"""What a call about a module leaves as it was, what decides about its result, and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropviz.modules import (
    dropout_loss,
    explicit_regularizer,
    implicit_noise,
    mask_noise,
    measure_explicit_regularizer,
    noise_covariance_trace,
    second_order_term,
    surrogate_loss,
)
from tests.computing.foreign import Net
from tests.computing.tiny import tiny
from tests.computing.twin import module_of, seeded

# What a call leaves as it was, and what decides about its result.


def talkative() -> tuple[nn.Module, Tensor, Tensor]:
    """A model with a buffer that each pass changes, a frozen parameter, gradients and a hook."""

    def call(net: Any, x: Tensor) -> Tensor:
        net.calls.add_(1)
        return net.last(net.drop(net.norm(net.first(x)).tanh()))

    torch.manual_seed(0)
    norm = nn.BatchNorm1d(4).eval()
    model = Net(call, first=nn.Linear(2, 4), norm=norm, drop=nn.Dropout(0.3), last=nn.Linear(4, 3))
    model.register_buffer("calls", torch.zeros(()))
    model.first.bias.requires_grad_(False)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    model.last.register_forward_hook(lambda module, inputs, output: None)
    return model, torch.randn(5, 2), torch.tensor([0, 1, 2, 0, 1])


CALLS: dict[str, Callable[..., Any]] = {
    "explicit_regularizer": lambda m, x, y, **o: explicit_regularizer(
        m, x, estimator="root_hessian", samples=8, **o
    ),  # one sample of five rows has only 4⁵ values, and two calls now and then the same
    "measure_explicit_regularizer": lambda m, x, y, **o: measure_explicit_regularizer(m, x, y, masks=4, **o),
    "second_order_term": lambda m, x, y, **o: second_order_term(m, x, y, samples=4, **o),
    "implicit_noise": implicit_noise,
    "mask_noise": mask_noise,
    "noise_covariance_trace": lambda m, x, y, **o: noise_covariance_trace(m, x, y, samples=3, **o),
    "surrogate_loss": lambda m, x, y, **o: surrogate_loss(m, x, y, estimator="sampled_label", **o),
    "surrogate_loss, shared": lambda m, x, y, **o: surrogate_loss(m, x, y, shared_tangent=True, **o),
    "dropout_loss": lambda m, x, y, **o: dropout_loss(m, x, y, k=2, mask_noise=True, **o),
    "dropout_loss, analytic": lambda m, x, y, **o: dropout_loss(m, x, y, k=2, analytic_noise=True, **o),
}
LABELLED = [name for name in CALLS if name != "explicit_regularizer"]

every_call = pytest.mark.parametrize("name", CALLS)
every_labelled = pytest.mark.parametrize("name", LABELLED)


def state(model: nn.Module) -> list[Any]:
    found: list[Any] = [torch.get_rng_state()]
    for module in model.modules():
        hooks = [*module._forward_hooks, *module._forward_pre_hooks, *module._backward_hooks]
        found += [module.training, hooks, sorted(module.__dict__["_buffers"])]
    found += [tensor.clone() for tensor in (*model.parameters(), *model.buffers())]
    found += [parameter.requires_grad for parameter in model.parameters()]
    return [*found, *(parameter.grad.clone() for parameter in model.parameters())]


def assert_same(left: list[Any], right: list[Any]) -> None:
    for one, other in zip(left, right, strict=True):
        assert torch.equal(one, other) if torch.is_tensor(one) else one == other


def numbers(found: Any) -> list[float]:
    if isinstance(found, Tensor):
        return found.detach().flatten().tolist()
    if isinstance(found, dict):
        return [number for part in found.values() for number in numbers(part)]
    parts = vars(found).values()
    return [
        n for part in parts if part is not None for n in (numbers(part) if torch.is_tensor(part) else [part])
    ]


@every_call
@pytest.mark.parametrize("generator", [None, 5])
def test_a_call_leaves_the_model_and_the_global_random_state_as_they_were(
    name: str, generator: int | None
) -> None:
    model, x, y = talkative()
    before, buffers = state(model), [id(buffer) for buffer in model.buffers()]
    CALLS[name](model, x, y, generator=generator if generator is None else seeded(generator))
    assert_same(before, state(model))
    assert buffers == [id(buffer) for buffer in model.buffers()]


@every_call
def test_the_same_generator_gives_the_same_and_another_something_else(name: str) -> None:
    model, x, y = talkative()
    first, again, other = (numbers(CALLS[name](model, x, y, generator=seeded(seed))) for seed in (3, 3, 4))
    assert first == again != other
    assert numbers(CALLS[name](model, x, y)) != numbers(CALLS[name](model, x, y))


@every_call
def test_logits_are_what_forward_makes_of_the_model(name: str) -> None:
    model, x, y = talkative()
    wrapped = Net(lambda net, x: {"logits": net.inner(x)}, inner=copy.deepcopy(model))
    direct = CALLS[name](model, x, y, generator=seeded())
    named = CALLS[name](wrapped, x, y, generator=seeded(), forward=lambda asked, x: asked(x)["logits"])
    assert numbers(named) == numbers(direct)


# Refused.


@every_call
def test_a_model_without_active_dropout_is_refused(name: str) -> None:
    model, x, y = talkative()
    with pytest.raises(ValueError, match="Linear performs no dropout"):
        CALLS[name](nn.Linear(2, 3), x, y)
    with pytest.raises(ValueError, match=r"eval mode: call model.train\(\)"):
        CALLS[name](model.eval(), x, y)


@every_call
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_refused(name: str, value: float) -> None:
    model, x, y = talkative()
    with torch.no_grad():
        model.last.bias[1] = value
    with pytest.raises(ValueError, match="not finite"):
        CALLS[name](model, x, y)


@every_labelled
@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_out_of_range_is_refused(name: str, label: int) -> None:
    model, x, y = talkative()
    y[2] = label
    with pytest.raises(ValueError, match=rf"{label}.*0 to 2"):
        CALLS[name](model, x, y)


@every_labelled
def test_labels_in_the_wrong_number_or_of_the_wrong_type_are_refused(name: str) -> None:
    model, x, y = talkative()
    with pytest.raises(ValueError, match="label"):
        CALLS[name](model, x, y[:4])
    with pytest.raises(ValueError, match="label"):
        CALLS[name](model, x, y.float())


@every_call
def test_an_output_that_is_not_logits_is_refused(name: str) -> None:
    model, x, y = talkative()
    for forward in (lambda asked, x: (asked(x),), lambda asked, x: asked(x).sum(-1)):
        with pytest.raises(ValueError, match="logits"):
            CALLS[name](model, x, y, forward=forward)


def test_choices_that_do_not_exist_are_refused() -> None:
    net = tiny((2, 3, 3))
    model = module_of(net)
    with pytest.raises(ValueError, match="'best' is not an estimator"):
        explicit_regularizer(model, net.x, estimator="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'masks'"):
        noise_covariance_trace(model, net.x, net.y, kind="masks")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k = 0"):
        dropout_loss(model, net.x, net.y, k=0)
    with pytest.raises(ValueError, match="mask_noise and analytic_noise"):
        dropout_loss(model, net.x, net.y, k=2, mask_noise=True, analytic_noise=True)
    with pytest.raises(ValueError, match="standard error"):
        measure_explicit_regularizer(model, net.x, net.y, masks=1)
