"""Other losses than softmax cross-entropy, weights of rows and labels that do not count, in every term about a module.

Against full Jacobians and enumerated masks, also where rows share masks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dropviz.modules import (
    dropout_loss,
    explicit_regularizer,
    implicit_noise,
    mask_noise,
    measure_explicit_regularizer,
    second_order_term,
    surrogate_loss,
)
from tests import reference
from tests.computing.test_losses import Dense, Poisson
from tests.computing.test_modules import assert_measured, gradient
from tests.computing.test_modules_arms import outer
from tests.computing.test_modules_calls import CALLS, LABELLED, talkative
from tests.computing.test_modules_edges import Kept
from tests.computing.tiny import assert_mean
from tests.computing.twin import SHARED, Twin, flat, seeded, shared

SAMPLED = ["auto", "root_hessian", "forward", "sampled_label"]
NETS = ["pooled channel dropout", "sequence, batch first", "weight drop", "coupled rows"]
WEIGHTS = torch.tensor([2.0, 0.0, 0.5, 1.0, 0.0, 3.0, 0.25, 1.5])


class LabelSmoothing:
    """Cross-entropy with a tenth of each label spread over the classes: a caller's own loss with class labels."""

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        found = functional.cross_entropy(z.flatten(0, 1), y.flatten(), reduction="none", label_smoothing=0.1)
        return found.view(y.shape)

    def factor(self, z: Tensor) -> Tensor:
        p = z.softmax(-1)
        return torch.diag_embed(p.sqrt()) - p.unsqueeze(-1) * p.sqrt().unsqueeze(-2)


def of_one_row(loss: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """What a caller's own loss says of a row."""
    return lambda z, y: loss.value(z[None, None], y[None, None]).sum()


LOSSES: dict[str, tuple[Any, Callable[[Tensor, Tensor], Tensor]]] = {
    "half_squared_error": ("half_squared_error", reference.half_squared_error),
    "binary_cross_entropy": ("binary_cross_entropy", reference.binary_cross_entropy),
    "own, diagonal": (Poisson(), of_one_row(Poisson())),
    "own, dense": (Dense(), of_one_row(Dense())),
}
WITH_LABELS = {
    "cross_entropy": ("cross_entropy", reference.loss),
    "own, with labels": (LabelSmoothing(), of_one_row(LabelSmoothing())),
}

every_loss = pytest.mark.parametrize("loss", LOSSES)
any_loss = pytest.mark.parametrize("loss", [*LOSSES, *WITH_LABELS])
every_net = pytest.mark.parametrize("name", NETS)


def case(name: str, loss: str, *, weight: Tensor | None = None) -> tuple[Twin, dict[str, Any]]:
    """A net with targets for a loss, as its twin, and what to call the library with."""
    chosen, row_loss = (LOSSES | WITH_LABELS)[loss]
    net = shared(name)
    y = net.y
    if loss in LOSSES:
        y = torch.rand(*net.y.shape, 3, generator=seeded(5), dtype=torch.float64)
    options = {"loss": chosen} | ({} if weight is None else {"weight": weight})
    return Twin(net.model, net.x, y, row_loss, weight), options


def weighed(name: str, loss: str) -> tuple[Twin, dict[str, Any]]:
    """The same with other weights of the rows, two of which are 0."""
    rows = shared(name).y.shape
    return case(name, loss, weight=WEIGHTS[: rows.numel()].view(rows))


def drawn(draw: Callable[[torch.Generator], Tensor], copies: int) -> Tensor:
    random = seeded()
    return torch.stack([draw(random) for _ in range(copies)])


def enumerated(twin: Twin) -> Tensor:
    """R over all masks."""
    probabilities, masks = twin.every_mask()
    losses = torch.stack([twin.loss(mask).detach() for mask in masks])
    return probabilities @ losses - twin.loss(twin.still()).detach()


def assert_unbiased(twin: Twin, options: dict[str, Any], estimator: Any, copies: int = 200) -> None:
    random, values, gradients = seeded(), [], []
    for _ in range(copies):
        value = explicit_regularizer(twin.model, twin.x, estimator=estimator, generator=random, **options)
        values.append(value.detach())
        gradients.append(gradient(twin.model, value))
    expected = twin.shares().sum()
    assert_mean(torch.stack(values), expected.detach())
    assert_mean(torch.stack(gradients), twin.gradient(expected))
    error = torch.stack(values).std() / copies**0.5
    assert error < expected / 6  # so that a factor of two is seen


# Every term, by every loss.


@pytest.mark.parametrize("hessian", ["differentiated", "constant"])
@every_net
@every_loss
def test_the_exact_value_and_its_gradient_are_those_of_the_full_jacobian(
    loss: str, name: str, hessian: Any
) -> None:
    twin, options = case(name, loss)
    value = explicit_regularizer(twin.model, twin.x, estimator="exact", hessian=hessian, **options)
    expected = twin.shares(constant=hessian == "constant").sum()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient(twin.model, value), twin.gradient(expected))


def test_a_hessian_that_depends_on_the_logits_has_a_slope_and_that_of_half_squared_error_has_none() -> None:
    for loss in LOSSES:
        twin, _ = case("sequence, batch first", loss)
        differentiated, constant = (twin.gradient(twin.shares(constant=held).sum()) for held in (False, True))
        apart = (differentiated - constant).norm() / differentiated.norm()
        assert (apart < 1e-12) == (loss in ("half_squared_error", "own, dense"))


@pytest.mark.parametrize("estimator", SAMPLED)
@pytest.mark.parametrize("name", ["sequence, batch first", "weight drop"])
@every_loss
def test_a_sampled_estimator_has_the_exact_mean_in_value_and_gradient(
    loss: str, name: str, estimator: Any
) -> None:
    twin, options = case(name, loss)
    if estimator == "sampled_label" and "own" in loss:
        with pytest.raises(ValueError, match="has no labels to draw: choose another estimator"):
            explicit_regularizer(twin.model, twin.x, estimator=estimator, **options)
    else:
        assert_unbiased(twin, options, estimator)


@pytest.mark.parametrize("hessian", ["differentiated", "constant"])
@every_loss
def test_before_a_linear_output_the_closed_form_is_exact(loss: str, hessian: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Dropout(0.3), nn.Linear(4, 3)).double()
    chosen, row_loss = LOSSES[loss]
    twin = Twin(model, torch.randn(5, 2).double(), torch.rand(5, 3).double(), row_loss, WEIGHTS[:5])
    value = explicit_regularizer(model, twin.x, loss=chosen, weight=WEIGHTS[:5], hessian=hessian)
    expected = twin.shares(constant=hessian == "constant").sum()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient(model, value), twin.gradient(expected))


@pytest.mark.parametrize("name", ["weight drop", "coupled rows"])
@every_loss
def test_the_definition_and_its_second_order_are_those_of_all_masks(loss: str, name: str) -> None:
    twin, options = case(name, loss)
    found = measure_explicit_regularizer(
        twin.model, twin.x, twin.y, masks=1200, generator=seeded(), **options
    )
    assert_measured(found, enumerated(twin))
    second = second_order_term(twin.model, twin.x, twin.y, samples=300, generator=seeded(), **options)
    assert_measured(second, twin.second_order())
    for one in (found, second):
        assert one.standard_error < twin.shares().sum() / 5


@pytest.mark.parametrize("name", ["weight drop", "sequence, batch first"])
@every_loss
def test_implicit_noise_has_mean_zero_and_the_covariance_of_its_formula(loss: str, name: str) -> None:
    twin, options = case(name, loss)
    noise = drawn(lambda g: flat(implicit_noise(twin.model, twin.x, twin.y, generator=g, **options)), 300)
    assert_mean(noise, 0.0)
    assert_mean(outer(noise), twin.noise_covariance(), errors=6)
    assert_mean(noise.square().sum(-1), twin.noise_covariance().trace())


@every_loss
def test_mask_noise_has_the_covariance_over_all_masks(loss: str) -> None:
    twin, options = case("weight drop", loss)
    noise = drawn(lambda g: flat(mask_noise(twin.model, twin.x, twin.y, generator=g, **options)), 400)
    assert_mean(noise, 0.0)
    assert_mean(noise.square().sum(-1), twin.mask_covariance()[1].trace())


@every_loss
def test_dropout_and_its_surrogate_have_the_loss_as_their_data(loss: str) -> None:
    twin, options = case("weight drop", loss)
    terms = surrogate_loss(twin.model, twin.x, twin.y, estimator="exact", **options)
    torch.testing.assert_close(terms.data, twin.loss(twin.still()))
    losses = drawn(
        lambda g: dropout_loss(twin.model, twin.x, twin.y, generator=g, **options).data.detach(), 800
    )
    assert_mean(losses, enumerated(twin) + twin.loss(twin.still()).detach())


# Weights of the rows.


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("loss", ["cross_entropy", "half_squared_error", "own, diagonal"])
def test_weights_weigh_the_rows_in_both_terms_and_their_gradients(loss: str, name: str) -> None:
    twin, options = weighed(name, loss)
    terms = surrogate_loss(twin.model, twin.x, twin.y, estimator="exact", **options)
    data, explicit = twin.loss(twin.still()), twin.shares().sum()
    torch.testing.assert_close(terms.data, data)
    torch.testing.assert_close(terms.explicit, explicit)
    torch.testing.assert_close(
        gradient(twin.model, terms.data + terms.explicit), twin.gradient(data + explicit)
    )
    unweighed, _ = case(name, loss)
    assert (unweighed.shares().sum() - explicit).abs() > 1e-3 * explicit


@pytest.mark.parametrize("estimator", SAMPLED)
@pytest.mark.parametrize("name", ["coupled rows", "weight drop"])
def test_a_sampled_estimator_has_the_exact_mean_under_weights(name: str, estimator: Any) -> None:
    twin, options = weighed(name, "cross_entropy")
    assert_unbiased(twin, options, estimator)


@any_loss
def test_weights_weigh_the_rows_in_definition_second_order_and_noise(loss: str) -> None:
    twin, options = weighed("weight drop", loss)
    definition = measure_explicit_regularizer(
        twin.model, twin.x, twin.y, masks=1000, generator=seeded(), **options
    )
    assert_measured(definition, enumerated(twin))
    second = second_order_term(twin.model, twin.x, twin.y, samples=200, generator=seeded(), **options)
    assert_measured(second, twin.second_order())
    noise = drawn(lambda g: flat(implicit_noise(twin.model, twin.x, twin.y, generator=g, **options)), 300)
    assert_mean(outer(noise), twin.noise_covariance(), errors=6)
    masked = drawn(lambda g: flat(mask_noise(twin.model, twin.x, twin.y, generator=g, **options)), 300)
    assert_mean(masked.square().sum(-1), twin.mask_covariance()[1].trace())


@pytest.mark.parametrize("name", SHARED)
def test_only_the_ratios_of_weights_count_and_their_shape_may_be_flat(name: str) -> None:
    twin, options = weighed(name, "cross_entropy")
    expected = explicit_regularizer(twin.model, twin.x, estimator="exact", **options)
    for weight in (7 * options["weight"], options["weight"].flatten(), options["weight"].double()):
        found = explicit_regularizer(twin.model, twin.x, estimator="exact", weight=weight)
        torch.testing.assert_close(found, expected)
    same = explicit_regularizer(twin.model, twin.x, estimator="exact", weight=torch.full(twin.y.shape, 0.3))
    torch.testing.assert_close(same, explicit_regularizer(twin.model, twin.x, estimator="exact"))


@pytest.mark.parametrize("name", SHARED)
@any_loss
def test_a_row_of_weight_zero_is_as_if_left_out(loss: str, name: str) -> None:
    twin, options = case(name, loss)
    weight = torch.ones(twin.y.shape[: twin.y.ndim - (loss in LOSSES)])
    weight.view(-1)[[0, 2]] = 0
    kept = weight.flatten().nonzero().flatten()
    y = twin.y.flatten(0, weight.ndim - 1)[kept]
    for estimator in ("exact", "root_hessian"):
        terms, alone = (
            surrogate_loss(model, twin.x, y, estimator=estimator, generator=seeded(), **options, **weights)
            for model, y, weights in (
                (twin.model, twin.y, {"weight": weight}),
                (Kept(twin.model, kept), y, {}),
            )
        )
        torch.testing.assert_close(
            [terms.data, terms.explicit, terms.implicit], [alone.data, alone.explicit, alone.implicit]
        )


# Labels that do not count.


@pytest.mark.parametrize("ignored", [-100, 7, 1])
@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("loss", WITH_LABELS)
def test_a_row_with_the_label_to_ignore_has_weight_zero_in_every_term(
    loss: str, name: str, ignored: int
) -> None:
    twin, options = case(name, loss)
    labels = (torch.arange(twin.y.numel()) % 3).view(twin.y.shape)
    weight, y = 0.5 + WEIGHTS[: labels.numel()].view(labels.shape), labels.clone()
    y.view(-1)[0] = ignored
    counted = Twin(twin.model, twin.x, labels, twin.row_loss, weight * (y != ignored))
    terms = surrogate_loss(
        twin.model, twin.x, y, estimator="exact", weight=weight, ignore_index=ignored, **options
    )
    data, explicit = counted.loss(twin.still()), counted.shares().sum()
    torch.testing.assert_close(terms.data, data)
    torch.testing.assert_close(terms.explicit, explicit)
    torch.testing.assert_close(
        gradient(twin.model, terms.data + terms.explicit), twin.gradient(data + explicit)
    )
    noise, other = (
        flat(implicit_noise(twin.model, twin.x, given, generator=seeded(), **options, **choice))
        for given, choice in (
            (y, {"weight": weight, "ignore_index": ignored}),
            (labels, {"weight": counted.weight}),
        )
    )
    torch.testing.assert_close(noise, other)


# Refused.


@pytest.mark.parametrize("name", LABELLED)
def test_a_loss_without_a_known_hessian_is_refused_by_every_call(name: str) -> None:
    model, x, y = talkative()
    with pytest.raises(ValueError, match="loss = 'hinge' has no known Hessian in the logits: choose cross_"):
        CALLS[name](model, x, y, loss="hinge")
    with pytest.raises(ValueError, match=r"loss = MSELoss has no known Hessian.*factor\(z\)"):
        CALLS[name](model, x, y, loss=nn.MSELoss())


def test_the_loss_of_the_regularizer_alone_is_checked_too() -> None:
    model, x, _ = talkative()
    with pytest.raises(ValueError, match="loss = NoneType has no known Hessian"):
        explicit_regularizer(model, x, loss=None)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize(
    ("loss", "change", "message"),
    [
        ("half_squared_error", lambda y: y[:, 0], r"y has the shape \(5,\).*needs a target for each output"),
        ("half_squared_error", lambda y: y[:4], r"y has the shape \(4, 3\).*give it the shape \(5, 3\)"),
        ("half_squared_error", lambda y: y / 0, "targets in y are not finite"),
        ("half_squared_error", lambda y: y * 1j, "y is of torch.complex64: use real numbers"),
        ("binary_cross_entropy", lambda y: y + 1, "y holds 1.*probabilities: use 0 to 1"),
        ("binary_cross_entropy", lambda y: -y, "y holds -.*probabilities: use 0 to 1"),
        (Poisson(), lambda y: y[:4], r"y has the shape \(4, 3\).*need one target a row"),
        (Poisson(), lambda y: None, "y has the shape NoneType"),
    ],
)
def test_targets_that_do_not_go_with_the_loss_are_refused_by_every_call(
    name: str, loss: Any, change: Callable[[Tensor], Any], message: str
) -> None:
    model, x, _ = talkative()
    with pytest.raises(ValueError, match=message):
        CALLS[name](model, x, change(torch.rand(5, 3, generator=seeded())), loss=loss)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("loss", ["half_squared_error", "binary_cross_entropy", Poisson()])
def test_a_label_to_ignore_is_refused_where_there_are_no_labels(name: str, loss: Any) -> None:
    model, x, _ = talkative()
    with pytest.raises(ValueError, match=r"ignore_index = 0 is for class labels.*leave rows out by weight="):
        CALLS[name](model, x, torch.rand(5, 3, generator=seeded()), loss=loss, ignore_index=0)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.ones(4), r"weight has the shape \(4,\).*a number a row: give it the shape \(5,\)"),
        (torch.ones(5, 3), r"weight has the shape \(5, 3\)"),
        ([1.0] * 5, "weight has the shape list"),
        (torch.tensor([1.0, 1.0, -1.0, 1.0, 1.0]), "weight holds numbers that are negative or not finite"),
        (torch.full((5,), torch.nan), "weight holds numbers that are negative or not finite"),
        (torch.zeros(5), "weight leaves out every row"),
    ],
)
def test_weights_that_are_none_are_refused_by_every_call(name: str, weight: Any, message: str) -> None:
    model, x, y = talkative()
    with pytest.raises(ValueError, match=message):
        CALLS[name](model, x, y, weight=weight)


@pytest.mark.parametrize("name", LABELLED)
def test_weights_and_labels_that_leave_out_every_row_between_them_are_refused(name: str) -> None:
    model, x, y = talkative()
    y[:2] = -100
    with pytest.raises(ValueError, match="weight leaves out every row that has a label"):
        CALLS[name](model, x, y, weight=torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0]))
