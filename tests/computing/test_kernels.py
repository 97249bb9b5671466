"""What a model computes under the mode has three right derivatives, also where torch's own are wrong in silence."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad, gradcheck, gradgradcheck
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torch.overrides import TorchFunctionMode

from dropviz.kernels import WRITTEN_OUT, full_precision, plain_recurrent_kernels
from dropviz.sites import SiteMode
from tests.computing.foreign import Net
from tests.computing.twin import seeded

Call = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """A call, the shapes of what it is called with, and the first derivative that torch itself gets wrong."""

    call: Call
    shapes: list[tuple[int, ...]]
    wrong: int = 3


CASES = {
    "layer_norm": Case(
        lambda x, w, b: functional.layer_norm(x, (4,), weight=w, bias=b, eps=0.1), [(2, 3, 4), (4,), (4,)]
    ),
    "layer_norm of two axes": Case(lambda x: functional.layer_norm(x, [3, 2], eps=0.01), [(2, 3, 2)]),
    "layer_norm without bias": Case(lambda x, w: functional.layer_norm(x, (3, 2), w), [(2, 3, 2), (3, 2)]),
    "layer_norm without weight": Case(
        lambda x, b: functional.layer_norm(x, (4,), bias=b), [(2, 4), (4,)], wrong=2
    ),
    "torch.layer_norm": Case(
        lambda x, w, b: torch.layer_norm(x, [4], w, b, 0.01, False), [(3, 4), (4,), (4,)]
    ),
    "instance_norm": Case(
        lambda x, w, b: functional.instance_norm(x, weight=w, bias=b, eps=0.1), [(2, 3, 2, 2), (3,), (3,)]
    ),
    "instance_norm without weights": Case(functional.instance_norm, [(2, 3, 4)]),
    "instance_norm without weight": Case(
        lambda x, b: functional.instance_norm(x, bias=b), [(2, 3, 4), (3,)], wrong=2
    ),
    "instance_norm that follows averages": Case(
        lambda x: functional.instance_norm(x, torch.zeros(3).to(x), torch.ones(3).to(x)), [(2, 3, 4)]
    ),
    "instance_norm by averages, without weight": Case(
        lambda x, b: functional.instance_norm(x, torch.ones(3).to(x), torch.ones(3).to(x), None, b, False),
        [(2, 3, 4), (3,)],
        wrong=2,
    ),
    "torch.instance_norm": Case(
        lambda x, w, b: torch.instance_norm(x, w, b, None, None, True, 0.1, 0.01, False),
        [(2, 3, 4), (3,), (3,)],
    ),
    "batch_norm without weight": Case(
        lambda x, b: functional.batch_norm(x, torch.ones(3).to(x), 2 * torch.ones(3).to(x), bias=b),
        [(2, 3, 2), (3,)],
        wrong=2,
    ),
    "torch.batch_norm without weight": Case(
        lambda x, b: torch.batch_norm(
            x, None, b, torch.ones(3).to(x), 2 * torch.ones(3).to(x), False, 0.1, 0.01, False
        ),
        [(4, 3), (3,)],
        wrong=2,
    ),
    "weight norm": Case(lambda v, g: torch._weight_norm(v, g, 0), [(3, 4), (3, 1)], wrong=2),
    "weight norm of the last axis": Case(lambda v, g: torch._weight_norm(v, g, 1), [(3, 4), (1, 4)], wrong=2),
    "weight norm of a kernel": Case(lambda v, g: torch._weight_norm(v, g), [(2, 3, 2), (2, 1, 1)], wrong=2),
}
# What torch gets right, or computes by parts anyway.
RIGHT = {
    "weight norm of a middle axis": Case(lambda v, g: torch._weight_norm(v, g, 1), [(2, 3, 2), (1, 3, 1)]),
    "weight norm of all": Case(lambda v, g: torch._weight_norm(v, g, -1), [(3, 4), ()]),
    "instance_norm by averages": Case(
        lambda x, w: functional.instance_norm(x, torch.ones(3).to(x), torch.ones(3).to(x), w, None, False),
        [(2, 3, 4), (3,)],
    ),
    "batch_norm": Case(
        lambda x, w, b: functional.batch_norm(x, torch.ones(3).to(x), 2 * torch.ones(3).to(x), w, b),
        [(2, 3, 2), (3,), (3,)],
    ),
    "normalize": Case(functional.normalize, [(3, 4)]),
    "cosine_similarity": Case(functional.cosine_similarity, [(3, 4), (3, 4)]),
    "embedding": Case(partial(functional.embedding, torch.tensor([0, 2, 2])), [(4, 3)]),
}
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "LayerNorm": (nn.LayerNorm(4), (2, 4)),
    "InstanceNorm1d": (nn.InstanceNorm1d(3, affine=True, track_running_stats=True), (2, 3, 4)),
    "weight_norm": (weight_norm(nn.Linear(3, 2)), (2, 3)),
    "GroupNorm": (nn.GroupNorm(2, 4), (2, 4, 3)),
    "RMSNorm": (nn.RMSNorm(4), (2, 4)),
    "BatchNorm1d": (nn.BatchNorm1d(4).eval(), (3, 4)),
    "LocalResponseNorm": (nn.LocalResponseNorm(2, alpha=0.5), (2, 3, 4)),
    "GELU": (nn.GELU(), (2, 4)),
    "GELU by tanh": (nn.GELU("tanh"), (2, 4)),
    "SiLU": (nn.SiLU(), (2, 4)),
    "Mish": (nn.Mish(), (2, 4)),
    "Softplus": (nn.Softplus(), (2, 4)),
    "ELU": (nn.ELU(), (2, 4)),
    "GLU": (nn.GLU(), (2, 4)),
    "PReLU": (nn.PReLU(), (2, 4)),
    "Softmax": (nn.Softmax(-1), (2, 4)),
    "Conv1d": (nn.Conv1d(2, 2, 2), (2, 2, 3)),
    "Conv2d": (nn.Conv2d(2, 4, 2, groups=2, stride=2, padding=1), (1, 2, 3, 3)),
    "ConvTranspose1d": (nn.ConvTranspose1d(2, 2, 2), (2, 2, 3)),
    "Bilinear": (Net(lambda net, x: net.layer(x, x.sin()), layer=nn.Bilinear(3, 3, 2)), (2, 3)),
    "AvgPool1d": (nn.AvgPool1d(2), (2, 2, 4)),
    "MaxPool1d": (nn.MaxPool1d(2), (2, 2, 4)),
    "AdaptiveAvgPool1d": (nn.AdaptiveAvgPool1d(2), (2, 2, 3)),
    "Upsample": (nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 2, 2)),
    "LSTM": (Net(lambda net, x: net.layer(x)[0], layer=nn.LSTM(2, 2)), (3, 1, 2)),
    "GRU": (Net(lambda net, x: net.layer(x)[0], layer=nn.GRU(2, 2)), (3, 1, 2)),
    "RNN": (Net(lambda net, x: net.layer(x)[0], layer=nn.RNN(2, 2)), (3, 1, 2)),
    "LSTMCell": (Net(lambda net, x: net.layer(x)[0], layer=nn.LSTMCell(2, 2)), (2, 2)),
    "MultiheadAttention": (
        Net(lambda net, x: net.layer(x, x, x, need_weights=False)[0], layer=nn.MultiheadAttention(2, 1)),
        (3, 1, 2),
    ),
    "TransformerEncoderLayer": (nn.TransformerEncoderLayer(3, 1, 2, 0.0), (2, 1, 3)),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def tensors(shapes: list[tuple[int, ...]], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    random = seeded(1)
    drawn = [torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]
    return [numbers.to(dtype).requires_grad_() for numbers in drawn]


def under_mode(call: Call, *, twice: bool = True) -> Call:
    def watched(*given: Tensor) -> Tensor:
        with SiteMode(lambda h, site: h, lambda: "model", twice=twice):
            return call(*given)

    return watched


def gradient_of(call: Call) -> Callable[..., tuple[Tensor, ...]]:
    """That of a function of what the call returns: its derivatives are the second and third of the call."""

    def first(*given: Tensor) -> tuple[Tensor, ...]:
        value = call(*given).sin().sum()
        return grad(value, given, create_graph=True, materialize_grads=True)

    return first


def right(check: Callable[..., bool], call: Callable[..., Any], given: list[Tensor]) -> bool:
    """Whether derivatives are those that finite differences give; they are not where torch fails."""
    with suppress(RuntimeError):
        return check(call, tuple(given), raise_exception=False)
    return False


def right_derivatives(call: Call, given: list[Tensor]) -> list[bool]:
    """Whether the first, second and third are right, each by differences of the one before."""
    first = gradient_of(call)
    return [
        right(gradcheck, call, given),
        right(gradcheck, first, given),
        right(gradgradcheck, first, given),
    ]


@pytest.mark.parametrize("case", (CASES | RIGHT).values(), ids=CASES | RIGHT)
def test_three_derivatives_of_a_function_are_right(case: Case) -> None:
    assert right_derivatives(under_mode(case.call), tensors(case.shapes)) == [True] * 3


@pytest.mark.parametrize("name", LAYERS)
def test_three_derivatives_of_a_layer_are_right(name: str) -> None:
    layer, shape = LAYERS[name]
    layer = layer.double()
    named = dict(layer.named_parameters())

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        return functional_call(layer, dict(zip(named, parameters, strict=True)), x)

    given = tensors([shape, *(tuple(parameter.shape) for parameter in named.values())])
    assert right_derivatives(under_mode(call), given) == [True] * 3


@every_case
def test_torch_itself_still_gets_a_derivative_wrong(case: Case) -> None:
    """When this fails, torch has mended the function: take it out of ``WRITTEN_OUT``."""
    found = right_derivatives(case.call, tensors(case.shapes))
    assert found[: case.wrong] == [order < case.wrong for order in range(1, case.wrong + 1)]


class Noting(TorchFunctionMode):
    """Which functions of torch are called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: set[Any] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.called.add(func)
        return func(*args, **kwargs or {})


def test_every_function_that_is_replaced_is_tried_here() -> None:
    with Noting() as noting:
        for case in CASES.values():
            case.call(*tensors(case.shapes))
    assert set(WRITTEN_OUT) <= noting.called


# Nothing but derivatives.


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@every_case
def test_values_are_those_of_torch_to_rounding(case: Case, dtype: torch.dtype) -> None:
    given = tensors(case.shapes, dtype)
    found, expected = under_mode(case.call)(*given), case.call(*given)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    torch.testing.assert_close(
        found, expected, rtol=8 * torch.finfo(dtype).eps, atol=8 * torch.finfo(dtype).eps
    )


def test_numbers_in_half_precision_are_normalized_in_single_precision() -> None:
    x = (100 + torch.randn(3, 64, generator=seeded())).bfloat16()
    exact = functional.layer_norm(x.double(), (64,))
    found = under_mode(lambda x: functional.layer_norm(x, (64,)))(x)
    torch.testing.assert_close(found.double(), exact, rtol=2**-8, atol=0)


@every_case
def test_a_pass_that_is_not_differentiated_twice_is_left_to_torch(case: Case) -> None:
    given = tensors(case.shapes, torch.float32)
    assert torch.equal(under_mode(case.call, twice=False)(*given), case.call(*given))


def test_instance_norm_moves_its_averages_as_ever() -> None:
    x = torch.randn(2, 3, 4, generator=seeded())
    found, expected = (nn.InstanceNorm1d(3, momentum=0.3, track_running_stats=True) for _ in range(2))
    under_mode(found)(x)
    expected(x)
    assert found.running_mean.any()
    assert torch.equal(found.running_mean, expected.running_mean)
    assert torch.equal(found.running_var, expected.running_var)


REFUSED = {
    "another width": Case(lambda x: functional.layer_norm(x, (5,)), [(3, 4)]),
    "no axis": Case(lambda x: functional.layer_norm(x, ()), [(3, 4)]),
    "one weight for all": Case(lambda x, w: functional.layer_norm(x, (4,), w), [(3, 4), (1,)]),
    "one number a channel": Case(functional.instance_norm, [(3, 4, 1)]),
    "weights of other channels": Case(lambda x, w: functional.instance_norm(x, weight=w), [(3, 4, 2), (3,)]),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_torch_refuses_is_refused_in_its_words(case: Case) -> None:
    with pytest.raises((RuntimeError, ValueError)) as expected:
        case.call(*tensors(case.shapes))
    with pytest.raises(expected.type) as found:
        under_mode(case.call)(*tensors(case.shapes))
    assert str(found.value) == str(expected.value)


def test_equal_numbers_have_finite_derivatives() -> None:
    x = torch.full((2, 4), math.pi, dtype=torch.float64, requires_grad=True)
    found = gradient_of(under_mode(nn.LayerNorm(4).double()))(x)[0]
    second = grad(found.square().sum() + found.sum(), x)[0]
    assert bool(found.isfinite().all() & second.isfinite().all())


def test_no_float32_is_rounded_to_tf32_and_kernels_can_still_be_chosen() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        full_precision()
        with plain_recurrent_kernels():
            assert not torch.backends.cudnn.allow_tf32
            assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
