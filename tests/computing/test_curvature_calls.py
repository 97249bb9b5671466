"""What a call about a module's curvature leaves as it was, what decides about its result, and what is refused."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dropviz
from dropviz import curvature
from dropviz.curvature import (
    ggn_trace,
    ggn_vector_product,
    gradient_noise_alignment,
    hessian_trace,
    hessian_vector_product,
    spectral_density,
    top_eigenvalues,
)
from tests.computing.foreign import Net
from tests.computing.test_modules_calls import assert_same, state, talkative
from tests.computing.twin import seeded

ALIGNMENT = "gradient_noise_alignment"


def ones(model: nn.Module) -> dict[str, Tensor]:
    return {name: torch.ones_like(p) for name, p in model.named_parameters() if p.requires_grad}


CALLS: dict[str, Callable[..., Any]] = {
    "hessian_vector_product": lambda m, x, y, generator=None, **o: hessian_vector_product(
        m, x, y, ones(m), **o
    ),
    "ggn_vector_product": lambda m, x, y, generator=None, **o: ggn_vector_product(m, x, y, ones(m), **o),
    "hessian_trace": lambda m, x, y, **o: hessian_trace(m, x, y, samples=4, **o),
    "hessian_trace, xtrace": lambda m, x, y, **o: hessian_trace(m, x, y, samples=6, method="xtrace", **o),
    "ggn_trace": lambda m, x, y, **o: ggn_trace(m, x, y, samples=4, **o),
    "top_eigenvalues": lambda m, x, y, **o: top_eigenvalues(m, x, y, k=2, steps=4, **o),
    "top_eigenvalues, ggn": lambda m, x, y, **o: top_eigenvalues(m, x, y, steps=3, matrix="ggn", **o),
    "spectral_density": lambda m, x, y, **o: spectral_density(m, x, y, steps=3, probes=2, **o),
    ALIGNMENT: lambda m, x, y, **o: gradient_noise_alignment(m, x, y, samples=3, **o),
    f"{ALIGNMENT}, analytic": lambda m, x, y, **o: gradient_noise_alignment(
        m, x, y, samples=3, kind="analytic", **o
    ),
}
QUIET = [name for name in CALLS if ALIGNMENT not in name]
DRAWN = [name for name in CALLS if "product" not in name]

every_call = pytest.mark.parametrize("name", CALLS)
every_quiet = pytest.mark.parametrize("name", QUIET)


def subject(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """The talkative model in the mode that the call is for."""
    model, x, y = talkative()
    if name in QUIET:
        model.eval()
    return model, x, y


def numbers(found: Any) -> list[float]:
    """All numbers of a result."""
    if isinstance(found, Tensor):
        return found.flatten().tolist()
    if isinstance(found, float):
        return [found]
    parts = found if isinstance(found, list) else (found if isinstance(found, dict) else vars(found)).values()
    return [number for part in parts for number in numbers(part)]


@every_call
def test_a_call_leaves_the_model_and_the_global_random_state_as_they_were(name: str) -> None:
    for random in (None, seeded()):
        model, x, y = subject(name)
        before, buffers = state(model), [id(buffer) for buffer in model.buffers()]
        CALLS[name](model, x, y, generator=random)
        assert_same(before, state(model))
        assert buffers == [id(buffer) for buffer in model.buffers()]


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_generator_gives_the_same_and_another_something_else(name: str) -> None:
    model, x, y = subject(name)
    first, again, other = (numbers(CALLS[name](model, x, y, generator=seeded(seed))) for seed in (3, 3, 4))
    assert first == again != other
    assert numbers(CALLS[name](model, x, y)) != numbers(CALLS[name](model, x, y))


@every_call
def test_logits_are_what_forward_makes_of_the_model(name: str) -> None:
    model, x, y = subject(name)
    wrapped = Net(lambda net, x: {"logits": net.inner(x)}, inner=copy.deepcopy(model))
    wrapped.train(model.training)
    wrapped.inner.norm.eval()
    direct = CALLS[name](model, x, y, generator=seeded())
    named = CALLS[name](wrapped, x, y, generator=seeded(), forward=lambda asked, x: asked(x)["logits"])
    assert numbers(named) == numbers(direct)


@every_call
def test_a_call_works_without_gradients_and_returns_none(name: str) -> None:
    model, x, y = subject(name)
    expected = numbers(CALLS[name](model, x, y, generator=seeded()))
    with torch.no_grad():
        assert numbers(CALLS[name](model, x, y, generator=seeded())) == expected
    found = CALLS[name](model, x, y)
    for tensor in found.values() if isinstance(found, dict) else vars(found).values():
        assert not getattr(tensor, "requires_grad", False)


def test_the_curvature_of_a_model_is_a_name_of_the_package_that_loads_late() -> None:
    assert dropviz.curvature is curvature
    assert "curvature" in dropviz.__all__
    code = (
        "import sys, dropviz; a = 'torch' in sys.modules; dropviz.curvature; print(a, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


# Refused.


@every_quiet
def test_a_model_that_drops_is_refused_by_its_first_site(name: str) -> None:
    model, x, y = talkative()
    with pytest.raises(ValueError, match=r"^drop drops with p = 0.3, .*: call model.eval\(\)\.$"):
        CALLS[name](model, x, y)


@pytest.mark.parametrize("name", sorted(set(CALLS) - set(QUIET)))
def test_the_noise_of_a_model_that_does_not_drop_is_refused(name: str) -> None:
    model, x, y = talkative()
    with pytest.raises(ValueError, match=r"eval mode: call model.train\(\)"):
        CALLS[name](model.eval(), x, y)


@every_call
def test_batch_normalization_by_the_batch_is_refused(name: str) -> None:
    model, x, y = subject(name)
    model.norm.train()
    with pytest.raises(ValueError, match="norm normalizes by the statistics of the batch"):
        CALLS[name](model, x, y)


@every_call
def test_logits_that_are_not_finite_are_refused(name: str) -> None:
    model, x, y = subject(name)
    with torch.no_grad():
        model.last.bias[1] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        CALLS[name](model, x, y)


@every_call
def test_labels_that_do_not_go_with_the_logits_are_refused(name: str) -> None:
    model, x, y = subject(name)
    with pytest.raises(ValueError, match="label"):
        CALLS[name](model, x, y[:4])
    y[2] = 3
    with pytest.raises(ValueError, match=r"3.*0 to 2"):
        CALLS[name](model, x, y)


@every_call
def test_nothing_is_computed_under_autocast(name: str) -> None:
    model, x, y = subject(name)
    with pytest.raises(ValueError, match="autocast"), torch.autocast("cpu", dtype=torch.bfloat16):
        CALLS[name](model, x, y)


@every_call
def test_logits_without_a_derivative_are_refused(name: str) -> None:
    model, x, y = subject(name)
    with pytest.raises(ValueError, match=r"take out detach\(\)"):
        CALLS[name](model, x, y, forward=lambda asked, x: asked(x).detach())


@every_call
def test_a_model_with_nothing_to_train_is_refused(name: str) -> None:
    model, x, y = subject(name)
    with pytest.raises(ValueError, match=r"Net has no parameter .*: call requires_grad_\(\)"):
        CALLS[name](model.requires_grad_(False), x, y)


@every_call
def test_half_precision_is_refused(name: str) -> None:
    model, x, y = subject(name)
    with pytest.raises(ValueError, match=r"first.weight is of torch.bfloat16.*call model.float\(\)"):
        CALLS[name](model.bfloat16(), x.bfloat16(), y)


def test_a_derivative_that_is_not_finite_is_refused() -> None:
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(3))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.w.abs().sqrt()

    arguments = Root(), torch.randn(2, 3), torch.tensor([0, 1])
    for name in ("hessian_vector_product", "hessian_trace", "top_eigenvalues", "spectral_density"):
        with pytest.raises(ValueError, match="3 of 3 numbers of a hessian product are not finite"):
            CALLS[name](*arguments)


@pytest.mark.parametrize("call", ["hessian_vector_product", "hessian_trace", "top_eigenvalues"])
def test_a_hessian_without_targets_is_refused(call: str) -> None:
    model, x, _ = subject(call)
    with pytest.raises(ValueError, match="y is None"):
        CALLS[call](model, x, None)


@pytest.mark.parametrize("product", [hessian_vector_product, ggn_vector_product])
def test_a_vector_that_is_not_one_of_the_parameters_is_refused(product: Any) -> None:
    model, x, y = subject("hessian_trace")
    vector = ones(model)
    with pytest.raises(ValueError, match=r"has no entry last.bias"):
        product(model, x, y, {name: part for name, part in vector.items() if name != "last.bias"})
    with pytest.raises(ValueError, match=r"has the entry first.bias too many"):
        product(model, x, y, vector | {"first.bias": torch.ones(4)})
    with pytest.raises(ValueError, match=r"vector\['last.weight'\] has the shape \(2,\).*\(3, 4\)"):
        product(model, x, y, vector | {"last.weight": torch.ones(2)})


@pytest.mark.parametrize(
    ("call", "options", "message"),
    [
        (hessian_trace, {"method": "exact"}, "method = 'exact' is not possible: choose hutchinson or xtrace"),
        (hessian_trace, {"samples": 1}, "samples = 1.*standard error"),
        (hessian_trace, {"samples": 3, "method": "xtrace"}, "samples = 3.*from 4 on"),
        (hessian_trace, {"samples": 1000, "method": "xtrace"}, "samples = 1000 is more than.*at most 62"),
        (ggn_trace, {"samples": 1}, "samples = 1"),
        (top_eigenvalues, {"matrix": "fisher"}, "matrix = 'fisher' is not possible: choose hessian or ggn"),
        (top_eigenvalues, {"k": 0}, "k = 0"),
        (top_eigenvalues, {"k": 3, "steps": 2}, "steps = 2.*from 3 on"),
        (top_eigenvalues, {"k": 32}, "k = 32 is more than the 31 parameters"),
        (spectral_density, {"steps": 0}, "steps = 0"),
        (spectral_density, {"probes": 0}, "probes = 0"),
    ],
)
def test_choices_that_are_not_possible_are_refused(call: Any, options: dict[str, Any], message: str) -> None:
    model, x, y = subject("hessian_trace")
    with pytest.raises(ValueError, match=message):
        call(model, x, y, **options)


def test_a_kind_of_noise_that_does_not_exist_is_refused() -> None:
    wrong: Any = "masks"
    with pytest.raises(ValueError, match="kind = 'masks'"):
        gradient_noise_alignment(*talkative(), kind=wrong)


def test_a_width_that_is_none_is_refused() -> None:
    found = spectral_density(*subject("spectral_density"), steps=2, probes=1)
    with pytest.raises(ValueError, match="width = 0"):
        found.density(torch.zeros(1), width=0)
