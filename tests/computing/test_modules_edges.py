"""Rows that do not count, sites without effect, many rows, and questions that have no answer."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from dropviz.modules import explicit_regularizer, implicit_noise, mask_noise, sharing, surrogate_loss
from dropviz.modules.network import ModuleNetwork
from dropviz.regularizers import network
from tests.computing.foreign import Net, weight_drop
from tests.computing.test_modules_calls import CALLS, LABELLED, numbers, talkative
from tests.computing.twin import SHARED, Twin, flat, seeded, shared

BY_MASKS = {"measure_explicit_regularizer", "mask_noise", "noise_covariance_trace", "dropout_loss"}

every_call = pytest.mark.parametrize("name", CALLS)
every_labelled = pytest.mark.parametrize("name", LABELLED)


class Kept(nn.Module):
    """The logits of some rows alone."""

    def __init__(self, model: nn.Module, kept: Tensor) -> None:
        super().__init__()
        self.model, self.kept = model, kept

    def forward(self, x: Any) -> Tensor:
        z = self.model(x)
        return z.reshape(-1, z.shape[-1])[self.kept]


@pytest.mark.parametrize("shape", ["flat", "of the logits"])
@pytest.mark.parametrize("name", SHARED)
def test_rows_labelled_minus_100_count_in_no_value_and_no_mean(name: str, shape: str) -> None:
    twin = shared(name)
    y = twin.y.clone().flatten()
    y[[0, 2]] = -100
    kept = (y >= 0).nonzero().flatten()
    alone = Twin(Kept(twin.model, kept), twin.x, y[kept])
    labels = y if shape == "flat" else y.reshape(twin.y.shape)
    terms = surrogate_loss(twin.model, twin.x, labels, estimator="exact")
    data, explicit = alone.loss(alone.still()), alone.shares().sum()
    torch.testing.assert_close(terms.data, data)
    torch.testing.assert_close(terms.explicit, explicit)
    torch.testing.assert_close(twin.gradient(terms.data + terms.explicit), twin.gradient(data + explicit))
    noise = flat(implicit_noise(twin.model, twin.x, labels, generator=seeded()))
    torch.testing.assert_close(noise, flat(implicit_noise(alone.model, twin.x, y[kept], generator=seeded())))


@every_labelled
def test_labels_that_are_all_minus_100_are_refused(name: str) -> None:
    model, x, y = talkative()
    with pytest.raises(ValueError, match="All of y is -100"):
        CALLS[name](model, x, torch.full_like(y, -100))


@every_labelled
@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_labels_may_be_whole_numbers_of_any_size(name: str, dtype: torch.dtype) -> None:
    model, x, y = talkative()
    found, expected = (numbers(CALLS[name](model, x, z, generator=seeded())) for z in (y.to(dtype), y))
    assert found == expected


def test_labels_in_another_order_of_axes_are_refused() -> None:
    twin = shared("sequence, time first")
    with pytest.raises(ValueError, match=r"y has the shape \(2, 3\).*\(3, 2\)"):
        surrogate_loss(twin.model, twin.x, twin.y.T)


def branching(net: Any, x: Tensor) -> Tensor:
    net.drop(net.other(x))  # a head that nobody asks for
    return net.last(net.drop(net.first(x).tanh()))


@every_call
def test_a_site_that_the_logits_make_no_use_of_adds_nothing(name: str) -> None:
    torch.manual_seed(0)
    model = Net(
        branching, other=nn.Linear(2, 2), first=nn.Linear(2, 4), drop=nn.Dropout(0.3), last=nn.Linear(4, 3)
    ).double()
    x, y = torch.randn(5, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    assert all(number == number for number in numbers(CALLS[name](model, x, y)))
    shares = explicit_regularizer(model, x, per_site=True)
    assert shares["drop"] == 0
    torch.testing.assert_close(shares["drop#2"], Twin(model, x, y).shares().sum())


@every_call
def test_nothing_is_computed_under_autocast(name: str) -> None:
    model, x, y = talkative()
    with pytest.raises(ValueError, match="autocast"), torch.autocast("cpu", dtype=torch.bfloat16):
        CALLS[name](model, x, y)


@pytest.mark.parametrize("name", [name for name in CALLS if "loss" not in name])
def test_measuring_works_without_gradients_too(name: str) -> None:
    model, x, y = talkative()
    expected = numbers(CALLS[name](model, x, y, generator=seeded()))
    with torch.no_grad():
        found = CALLS[name](model, x, y, generator=seeded())
    assert numbers(found) == expected
    assert not (torch.is_tensor(found) and found.requires_grad)


@pytest.mark.parametrize("name", sorted(set(CALLS) - BY_MASKS))
def test_logits_without_a_derivative_are_refused_where_one_is_needed(name: str) -> None:
    model, x, y = talkative()
    with pytest.raises(ValueError, match=r"take out detach\(\)"):
        CALLS[name](model, x, y, forward=lambda asked, x: asked(x).detach())


def test_a_model_with_nothing_to_train_has_no_noise_and_still_a_regularizer() -> None:
    model, x, y = talkative()
    model.requires_grad_(False)
    assert implicit_noise(model, x, y) == mask_noise(model, x, y) == {}
    assert explicit_regularizer(model, x) > 0


@every_call
@pytest.mark.parametrize("forward", [lambda asked, x: asked(x).long(), lambda asked, x: asked(x)[:0]])
def test_logits_that_are_whole_numbers_or_none_are_refused(name: str, forward: Any) -> None:
    model, x, y = talkative()
    with pytest.raises(ValueError, match="logits"):
        CALLS[name](model, x, y, forward=forward)


@pytest.mark.parametrize("shared_tangent", [False, True])
def test_a_way_to_treat_the_hessian_that_does_not_exist_is_refused(shared_tangent: bool) -> None:
    model, x, y = talkative()
    wrong: Any = "fixed"
    with pytest.raises(ValueError, match="'fixed' is not possible: choose differentiated or constant"):
        surrogate_loss(model, x, y, hessian=wrong, shared_tangent=shared_tangent)


@pytest.mark.parametrize("samples", [0, -1, 1.5])
def test_a_number_of_samples_that_is_none_is_refused(samples: Any) -> None:
    model, x, _ = talkative()
    with pytest.raises(ValueError, match=f"samples = {samples}"):
        explicit_regularizer(model, x, samples=samples)


# Which rows go into one pass.


def backward_passes(model: nn.Module, x: Tensor) -> int:
    with (
        mock.patch.object(sharing, "grad", wraps=sharing.grad) as looking,
        mock.patch.object(network, "grad", wraps=network.grad) as computing,
    ):
        explicit_regularizer(model, x, estimator="exact")
    return int(looking.call_count + computing.call_count)


@pytest.mark.parametrize("name", ["sequence, batch first", "sequence, time first"])
def test_a_sequence_takes_a_pass_a_step_and_class_however_many_examples_there_are(name: str) -> None:
    twin = shared(name)
    axis = 1 - twin.model.time
    x = twin.x.repeat_interleave(8, dim=axis)
    assert x.shape[axis] == 16
    assert backward_passes(twin.model, x) <= 3 * 3 + 8
    value = explicit_regularizer(twin.model, x, estimator="exact")
    torch.testing.assert_close(value, twin.shares().sum())


def test_a_mask_that_all_of_very_many_rows_share_is_not_taken_for_masks_of_their_own() -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        model = Net(weight_drop, first=nn.Linear(1, 1), last=nn.Linear(1, 3))
        x = torch.randn(20_000, 1).abs()
        asked = ModuleNetwork(model, x)
        watch = asked.watch()
        place, count = asked.passes(asked.forward(watch), watch)
        assert count == 20_000
        assert place.tolist() == list(range(20_000))
