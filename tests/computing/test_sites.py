"""Dropout sites are what a model asks of torch, and a model under the mode is the model, with what was put for dropout."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves

from dropviz.sites import DropoutSite, SiteMode, dropout_sites, unchanged
from tests.computing.asked import instead
from tests.computing.foreign import CASES, Case, Net, P

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def leaves(output: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(output) if torch.is_tensor(leaf) and leaf.is_floating_point()]


def under_mode(
    model: nn.Module, x: tuple[Any, ...], behaviour: Callable[[Tensor, DropoutSite], Tensor]
) -> list[Tensor]:
    with SiteMode(behaviour, lambda: "model"):
        return leaves(model(*x))


def as_is(h: Tensor, site: DropoutSite) -> Tensor:
    return h


def without_dropout(model: nn.Module) -> nn.Module:
    """The same weights, every drop probability set to 0."""
    model = copy.deepcopy(model)
    for module in model.modules():
        for name in ("p", "dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return model


def total(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum()


def derivatives(outputs: list[Tensor], model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The gradient of a function of the outputs, and that of the gradient's squared norm."""
    parameters = list(model.parameters())
    value = total((output.sin() * (1 + output)).sum() for output in outputs)
    first = torch.autograd.grad(value, parameters, create_graph=True, materialize_grads=True)
    norm = total(part.square().sum() for part in first)
    second = torch.autograd.grad(norm, parameters, materialize_grads=True)
    return list(first), list(second)


def assert_same(found: list[Tensor], expected: list[Tensor], share: float) -> None:
    assert len(found) == len(expected)
    scale = max(part.abs().max().item() for part in expected)
    assert scale > 0
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=share * scale)


# Sites.


@every_case
def test_sites_are_what_the_model_asks_of_torch_in_call_order(case: Case) -> None:
    asked: list[tuple[float, tuple[int, ...], tuple[int, ...]]] = []

    def record(h: Tensor, p: float, mask_shape: tuple[int, ...]) -> Tensor:
        asked.append((p, tuple(h.shape), tuple(mask_shape or h.shape)))
        return h

    with instead(record):
        case.model()(*case.x())
    sites = dropout_sites(case.model(), *case.x())
    assert [(site.p, site.shape, site.mask_shape) for site in sites] == asked
    assert [site.name for site in sites] == list(case.names)


def test_kinds_tell_what_shares_a_mask_and_where_it_stands() -> None:
    kinds = {
        "mlp": ["element", "element"],
        "spelled otherwise": ["element", "element", "channel", "channel"],
        "cnn": ["channel", "channel"],
        "attention": ["attention"],
        "attention unseen": ["attention"],
        "lstm 2": ["between-layers"],
        "rnn 3 relu": ["between-layers", "between-layers"],
    }
    for name, expected in kinds.items():
        assert [site.kind for site in dropout_sites(CASES[name].model(), *CASES[name].x())] == expected


@every_case
def test_a_model_in_eval_mode_has_no_site(case: Case) -> None:
    if "Net" in "".join(case.names):
        return  # its dropout does not ask for the mode
    assert dropout_sites(case.model().eval(), *case.x()) == []


@every_case
def test_a_drop_probability_of_zero_is_no_site(case: Case) -> None:
    assert dropout_sites(without_dropout(case.model()), *case.x()) == []


def test_only_the_parts_in_train_mode_have_sites() -> None:
    model = nn.Sequential(nn.Dropout(P), nn.Linear(5, 5), nn.Dropout(P))
    model[0].eval()
    assert [site.name for site in dropout_sites(model, torch.ones(2, 5))] == ["2"]


def test_forward_says_how_the_model_is_called_and_arguments_are_handed_on() -> None:
    case = CASES["gpt2 sdpa"]
    by_forward = dropout_sites(
        case.model(), case.x(), forward=lambda model, x: model.get_submodule("gpt")(input_ids=x[0])
    )
    assert by_forward == dropout_sites(case.model(), *case.x())
    layer = CASES["decoder layer"]
    target, memory = layer.x()
    assert [site.name for site in dropout_sites(layer.model(), target, memory=memory)] == list(layer.names)


def test_sites_are_found_inside_another_mode() -> None:
    for name in ("attention", "attention unseen", "lstm 2", "bert sdpa"):
        with torch.device("cpu"):
            sites = dropout_sites(CASES[name].model(), *CASES[name].x())
        assert [site.name for site in sites] == list(CASES[name].names)


# What the model computes.


@every_case
@pytest.mark.filterwarnings("ignore:dropout2d", "ignore:LSTM with projections")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_with_activations_as_they_are_two_derivatives_are_those_of_the_model_without_dropout(
    case: Case, dtype: torch.dtype
) -> None:
    model, exact = case.model(dtype), without_dropout(case.model())
    outputs = under_mode(model, case.x(dtype), as_is)
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
        expected = leaves(exact(*case.x()))
    tolerance = 1e-10 if dtype == torch.float64 else 2e-4
    assert_same(outputs, expected, tolerance)
    for found, wanted in zip(derivatives(outputs, model), derivatives(expected, exact), strict=True):
        assert_same(found, wanted, tolerance)


@every_case
@pytest.mark.filterwarnings("ignore:dropout2d")
def test_with_masks_the_model_computes_what_it_does_when_torch_applies_the_same_masks(case: Case) -> None:
    generator = torch.Generator().manual_seed(7)
    sites = dropout_sites(case.model(), *case.x())
    masks = [
        torch.empty(site.mask_shape, dtype=torch.float64).bernoulli_(1 - site.p, generator=generator)
        / (1 - site.p)
        for site in sites
    ]
    for_mode, for_torch, model = iter(masks), iter(masks), case.model()
    found = under_mode(model, case.x(), lambda h, site: h * next(for_mode))
    with instead(lambda h, p, mask_shape: h * next(for_torch)):
        twin = case.model()
        expected = leaves(twin(*case.x()))
    assert next(for_mode, None) is None
    assert next(for_torch, None) is None
    assert_same(found, expected, 1e-12)
    for one, other in zip(derivatives(found, model), derivatives(expected, twin), strict=True):
        assert_same(one, other, 1e-10)
    if sites:
        plain = leaves(without_dropout(case.model())(*case.x()))
        assert any(not torch.allclose(one, other) for one, other in zip(found, plain, strict=True))


@every_case
def test_the_derivative_in_the_mask_is_that_of_the_independent_twin(case: Case) -> None:
    def in_noise(run: Callable[[Callable[[Tensor, Any], Tensor]], list[Tensor]]) -> list[Tensor]:
        noise: list[Tensor] = []

        def shifted(h: Tensor, shape: tuple[int, ...]) -> Tensor:
            noise.append(torch.zeros(shape or h.shape, dtype=h.dtype, requires_grad=True))
            return h * (1 + noise[-1])

        outputs = run(shifted)
        if not noise:
            return []
        return list(torch.autograd.grad(total((output.sin() + output).sum() for output in outputs), noise))

    def by_torch(shifted: Callable[[Tensor, Any], Tensor]) -> list[Tensor]:
        with instead(lambda h, p, mask_shape: shifted(h, mask_shape)):
            return leaves(case.model()(*case.x()))

    found = in_noise(
        lambda shifted: under_mode(case.model(), case.x(), lambda h, site: shifted(h, site.mask_shape))
    )
    if case.names:
        assert_same(found, in_noise(by_torch), 1e-11)
    assert len(found) == len(case.names)


def test_what_overwrites_the_output_of_a_dropout_call_leaves_its_input() -> None:
    x = torch.ones(3)
    with SiteMode(as_is, lambda: "here"):
        assert functional.dropout(x, P).zero_().tolist() == [0, 0, 0]
        assert x.tolist() == [1, 1, 1]


# Nothing changes.


class Counting(nn.Module):
    """Writes to buffers in all the ways there are, and to the mode."""

    added: Tensor
    replaced: Tensor
    hidden: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop, self.frozen = nn.Linear(3, 3), nn.Dropout(P), nn.Linear(3, 3)
        self.frozen.requires_grad_(False)
        for name in ("added", "replaced", "hidden"):
            self.register_buffer(name, torch.ones(3))
        self.register_buffer("empty", None)
        self.fail = False

    def forward(self, x: Tensor) -> Tensor:
        self.added.add_(1)
        self.replaced = self.replaced + 1
        self.hidden.data.mul_(2)
        self.empty = torch.zeros(2)
        self.register_buffer(f"new{len(self._buffers)}", torch.zeros(1))
        self.frozen.train(not self.frozen.training)
        h = self.drop(self.frozen(self.layer(x)) * self.added)
        if self.fail:
            raise RuntimeError("in the middle")
        return h


def state(model: nn.Module) -> dict[str, Any]:
    return {
        "parameters": [(id(p), p.detach().clone(), p.requires_grad, p._version) for p in model.parameters()],
        "gradients": [(id(p.grad), None if p.grad is None else p.grad.clone()) for p in model.parameters()],
        "buffers": [
            (name, id(b), None if b is None else b.clone())
            for module in model.modules()
            for name, b in module._buffers.items()
        ],
        "modes": [module.training for module in model.modules()],
        "hooks": [
            len(hooks)
            for module in model.modules()
            for hooks in (
                module._forward_hooks,
                module._forward_pre_hooks,
                module._forward_hooks_always_called,
            )
        ],
        "generator": torch.get_rng_state(),
        "gradient": torch.is_grad_enabled(),
    }


def assert_equal(found: Any, expected: Any) -> None:
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    elif torch.is_tensor(expected):
        assert torch.equal(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize("fail", [False, True], ids=["returns", "raises"])
def test_nothing_of_the_model_or_of_torch_changes(fail: bool) -> None:
    torch.manual_seed(3)
    model = Counting()
    model(torch.ones(3)).sum().backward()
    model.fail = fail
    before = state(model)
    if fail:
        with pytest.raises(RuntimeError, match="in the middle"):
            dropout_sites(model, torch.ones(3))
    else:
        assert [site.name for site in dropout_sites(model, torch.ones(3))] == ["drop"]
    after = state(model)
    for what in before:
        assert_equal(list(after[what]) if isinstance(after[what], list) else after[what], before[what])
    assert torch.overrides._get_current_function_mode() is None


def test_a_compiled_part_is_refused_only_if_it_draws() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        still, drawing = (
            torch.jit.script(nn.Sequential(nn.Linear(3, 3), part)) for part in (nn.Tanh(), nn.Dropout(P))
        )
    assert [site.name for site in dropout_sites(nn.Sequential(still, nn.Dropout(P)), torch.ones(3))] == ["1"]
    with pytest.raises(ValueError, match="Sequential draws random numbers out of sight"):
        dropout_sites(nn.Sequential(drawing, nn.Dropout(P)), torch.ones(3))


def out_of_sight(net: Any, x: Tensor) -> Tensor:
    with torch._C.DisableTorchFunction():  # as compiled code does
        return x * torch.bernoulli(x / 2)


def test_the_random_state_is_put_back_after_a_model_that_drew() -> None:
    model = nn.Sequential(nn.Dropout(P), nn.Linear(3, 3), nn.AlphaDropout(P))
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="alpha_dropout"):
        dropout_sites(model, torch.ones(3))
    with pytest.raises(ValueError, match="Net draws random numbers out of sight"):
        dropout_sites(Net(out_of_sight), torch.ones(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_computed_between_can_be_differentiated_afterwards() -> None:
    model = Counting()
    with unchanged(model):
        output = model(torch.ones(3))
    output.sum().backward()
    assert model.layer.weight.grad is not None
    assert model.added.tolist() == [1, 1, 1]


def test_hooks_of_others_see_the_pass_and_stay() -> None:
    model, seen = nn.Sequential(nn.Linear(3, 3), nn.Dropout(P)), []
    model[1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    dropout_sites(model, torch.ones(3))
    assert [output.requires_grad for output in seen] == [False]
    assert len(model[1]._forward_hooks) == 1


def test_a_failure_that_the_model_catches_leaves_the_names_right() -> None:
    def call(net: Any, x: Tensor) -> Tensor:
        with suppress(RuntimeError):
            net.broken(x)
        return functional.dropout(net.drop(x), P)

    model = Net(call, broken=nn.Linear(7, 7), drop=nn.Dropout(P))
    assert [site.name for site in dropout_sites(model, torch.ones(3))] == ["drop", "Net"]
