"""What modules do that could make a formula silently wrong: writing into their input, computed weights, derivatives cut off."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dropviz import curvature
from dropviz.modules import (
    dropout_loss,
    explicit_regularizer,
    implicit_noise,
    mask_noise,
    measure_explicit_regularizer,
    surrogate_loss,
)
from tests.computing.foreign import Net
from tests.computing.twin import seeded


def inputs(rows: int = 6) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, 4, generator=seeded(), dtype=torch.float64), torch.arange(rows) % 4


def net(forward: Callable[[Any, Tensor], Tensor]) -> nn.Module:
    torch.manual_seed(0)
    return Net(forward, first=nn.Linear(4, 4), drop=nn.Dropout(0.2), last=nn.Linear(4, 4)).double()


def halving(model: Any, x: Tensor) -> Tensor:
    x.mul_(0.5)
    return model.last(model.drop(model.first(x).tanh()))


@pytest.mark.parametrize("kind", ["dropout in place", "the model's own"])
def test_a_model_that_writes_into_its_input_finds_it_as_it_was_in_every_pass(kind: str) -> None:
    x, y = inputs()
    before = x.clone()
    if kind == "dropout in place":
        torch.manual_seed(0)
        linear = nn.Linear(4, 4).double()
        model, plain = (nn.Sequential(nn.Dropout(0.2, inplace=way), linear) for way in (True, False))
    else:
        model, plain = net(halving), net(lambda m, x: m.last(m.drop(m.first(0.5 * x).tanh())))
    for call in (
        lambda m: measure_explicit_regularizer(m, x, y, masks=8, generator=seeded()).mean,
        lambda m: dropout_loss(m, x, y, k=4, generator=seeded()).data.item(),
        lambda m: sum(part.sum().item() for part in mask_noise(m, x, y, generator=seeded()).values()),
        lambda m: explicit_regularizer(m, x, estimator="exact").item(),
    ):
        assert call(model) == pytest.approx(call(plain), abs=1e-12)
    assert torch.equal(x, before)


COMPUTED: dict[str, Callable[[Any, Tensor, Tensor], Tensor]] = {
    "weight is the units": lambda m, h, x: functional.linear(h, h),
    "weight depends on the units": lambda m, h, x: functional.linear(
        h, m.last.weight * h.mean(), m.last.bias
    ),
    "bias depends on the units": lambda m, h, x: functional.linear(h, m.last.weight, h.mean(0)),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_the_closed_form_is_not_taken_where_the_last_map_depends_on_the_units(name: str) -> None:
    model = net(lambda m, x: COMPUTED[name](m, m.drop(m.first(x).tanh()), x))
    x, _ = inputs()
    exact = explicit_regularizer(model, x, estimator="exact").item()
    found = torch.stack([explicit_regularizer(model, x, generator=seeded(s)) for s in range(400)])
    assert found.std() > 0
    assert abs(found.mean().item() - exact) < 5 * found.std().item() / 20


def test_a_last_map_to_one_number_is_no_error() -> None:
    torch.manual_seed(0)
    vector = nn.Parameter(torch.randn(4, dtype=torch.float64))
    model = net(lambda m, x: functional.linear(m.drop(m.first(x).tanh()), vector))
    x = torch.randn(3, 5, 4, dtype=torch.float64, generator=seeded())
    exact = explicit_regularizer(model, x, estimator="exact").item()
    found = torch.stack([explicit_regularizer(model, x, generator=seeded(s)) for s in range(400)])
    assert abs(found.mean().item() - exact) < 5 * found.std().item() / 20


def frozen(model: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        h = model.drop(model.first(x).tanh())
    return model.last(functional.dropout(h, 0.1))


def test_a_site_where_no_derivative_is_taken_is_named_and_not_counted_as_zero() -> None:
    x, y = inputs()
    for call in (
        lambda: explicit_regularizer(net(frozen), x),
        lambda: surrogate_loss(net(frozen), x, y),
        lambda: implicit_noise(net(frozen), x, y),
    ):
        with pytest.raises(ValueError, match=r"drop drops where no derivative is taken.*no_grad"):
            call()


def test_under_inference_mode_the_message_says_so() -> None:
    x, y = inputs()
    model = net(lambda m, x: m.last(m.drop(m.first(x).tanh())))
    for call in (lambda: explicit_regularizer(model, x), lambda: surrogate_loss(model, x, y)):
        with torch.inference_mode(), pytest.raises(ValueError, match="inference_mode"):
            call()


def test_an_input_made_under_inference_mode_can_be_used() -> None:
    with torch.inference_mode():
        x, y = inputs()
    model = net(lambda m, x: m.last(m.drop(m.first(x).tanh())))
    surrogate_loss(model, x, y.clone(), estimator="exact").total.backward()
    assert model.first.weight.grad is not None


def test_a_call_leaves_no_graph_behind() -> None:
    seen: list[weakref.ref[Tensor]] = []

    def forward(model: Any, x: Tensor) -> Tensor:
        h = model.first(x).tanh()
        seen.append(weakref.ref(h))
        return model.last(model.drop(h))

    x, y = inputs()
    model = net(forward)
    gc.collect()
    gc.disable()
    try:
        explicit_regularizer(model, x).backward()
        surrogate_loss(model, x, y).total.backward()
        implicit_noise(model, x, y)
        assert [one() for one in seen] == [None] * 3
    finally:
        gc.enable()


def test_a_compiled_model_is_refused_with_what_to_give_instead() -> None:
    x, _ = inputs()
    model = torch.compile(net(lambda m, x: m.last(m.drop(m.first(x).tanh()))), backend="eager")
    with pytest.raises(ValueError, match=r"compiled.*give the module that torch.compile was given"):
        explicit_regularizer(model, x)


def test_an_own_loss_may_compute_in_another_precision() -> None:
    class Single:
        def value(self, z: Tensor, y: Tensor) -> Tensor:
            return ((z - y).square().sum(-1) / 2).float()

        def factor(self, z: Tensor) -> Tensor:
            return torch.eye(z.shape[-1]).expand(*z.shape, -1)

    x, _ = inputs()
    model = net(lambda m, x: m.last(m.drop(m.first(x).tanh())))
    found = explicit_regularizer(model, x, loss=Single())
    torch.testing.assert_close(found, explicit_regularizer(model, x, loss="half_squared_error"))


def test_curvature_of_a_recurrent_model_is_taken_without_onednn() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.LSTM(4, 3, num_layers=2, dropout=0.2, batch_first=True)
            self.graphs: list[Any] = []

        def forward(self, x: Tensor) -> Tensor:
            z = self.layers(x)[0]
            self.graphs.append(z.grad_fn)
            return z

    model = Recurrent()
    x, y = torch.randn(2, 3, 4), torch.arange(6) % 3
    curvature.gradient_noise_alignment(model, x, y, samples=4)
    names, nodes = set(), model.graphs[:1]  # of the pass whose Hessian is taken
    while nodes:
        node = nodes.pop()
        names.add(node.name())
        nodes += [nxt for nxt, _ in node.next_functions if nxt is not None]
    assert not any("Mkldnn" in name for name in names)
