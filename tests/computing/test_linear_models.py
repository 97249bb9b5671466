"""Linear and deep linear models: dropout's explicit effect is the closed form of the papers, over all masks and by R_approx."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.losses import read_loss
from dropviz.masks import Draws, keep_all
from dropviz.models import Model
from dropviz.models.deep_linear import DeepLinear
from dropviz.models.linear import Linear
from dropviz.regularizers import Network, exact_regularizer, explicit_shares, masked_losses
from dropviz.task import Task, classification, regression
from tests import reference
from tests.computing.tasks import ROWS, TASKS, inputs, parameters
from tests.computing.test_models import check_shortcut

P = 0.25
V = reference.variance(P)
BOTH = [Linear(), DeepLinear(widths=(4,)), DeepLinear(widths=(4, 3), dropout_at=("input", "hidden"))]


def network(model: Model, task: Task, chosen: dict[str, Tensor], x: Tensor) -> Network:
    """With targets that have nothing to do with the inputs."""
    random = torch.Generator().manual_seed(5)
    y = torch.randn(1, ROWS, task.outputs, generator=random, dtype=torch.float64)
    return Network(
        forward=lambda behaviour: model.forward(chosen, x, behaviour),
        y=y if task.kind == "regression" else y.argmax(-1),
        variances=dict.fromkeys(model.sites(), V),
        loss=read_loss(task.loss),
        jacobians=lambda directions: model.jacobians(chosen, x, directions),
        output=lambda watch: _output(watch.before, model.output_layer(chosen)),
    )


def _output(before: dict[str, Tensor], found: tuple[str, Tensor] | None) -> tuple[str, Tensor, Tensor] | None:
    return found and (found[0], before[found[0]], found[1])


def over_all_masks(asked: Network, widths: dict[str, int]) -> Tensor:
    """R by its definition; all rows have the same mask, as their mean does not mind."""
    probabilities, epsilon = reference.every_mask(sum(widths.values()), P)
    parts = (1 + epsilon).split(list(widths.values()), -1)
    factors = {
        site: part[None, :, None].expand(1, -1, ROWS, -1) for site, part in zip(widths, parts, strict=True)
    }
    losses = masked_losses(asked, factors, len(epsilon))[0]
    return probabilities @ losses - asked.plain()[0]


def by_auto(asked: Network, model: Model, widths: dict[str, int]) -> Tensor:
    """R_approx in closed form at the site before the output."""
    watch = asked.watch()
    z = asked.forward(watch)
    draws = Draws([0], {site: (ROWS, width) for site, width in widths.items()}, P, ahead=1)
    shares = explicit_shares(asked, z, watch, draws, estimator="auto")
    return torch.stack(list(shares.values())).sum(0)[0]


def test_of_linear_regression_dropout_is_ridge() -> None:
    model, task = Linear(), regression((6,), 2)
    chosen, x = parameters(model, task, 0), inputs(task)
    asked = network(model, task, chosen, x)
    expected = reference.ridge(chosen["weight"][0], x[0], V)
    torch.testing.assert_close(over_all_masks(asked, {"input": 6}), expected)
    for value in (exact_regularizer(asked)[0], by_auto(asked, model, {"input": 6})):
        torch.testing.assert_close(value, expected)
        slope = grad(value, chosen["weight"], retain_graph=True)[0][0]
        torch.testing.assert_close(slope, V * chosen["weight"][0] * x[0].square().mean(0)[:, None])


def test_of_logistic_regression_the_regularizer_is_that_of_wager() -> None:
    model, task = Linear(), classification((6,), 2)
    chosen, x = parameters(model, task, 0), inputs(task)
    with torch.no_grad():
        chosen["bias"].zero_()
    asked = network(model, task, chosen, x)
    expected = reference.logistic(chosen["weight"][0, :, 1] - chosen["weight"][0, :, 0], x[0], V)
    wanted = grad(expected, chosen["weight"])[0]
    for value in (exact_regularizer(asked)[0], by_auto(asked, model, {"input": 6})):
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(grad(value, chosen["weight"], retain_graph=True)[0], wanted)


def test_of_two_linear_layers_the_regularizer_is_that_of_mianjy() -> None:
    model, task = DeepLinear(widths=(5,)), regression((6,), 2)
    chosen, x = parameters(model, task, 0), inputs(task)
    asked = network(model, task, chosen, x)
    expected = reference.two_linear_layers(chosen["weight1"][0], chosen["weight2"][0], x[0], V)
    torch.testing.assert_close(over_all_masks(asked, {"hidden1": 5}), expected)
    torch.testing.assert_close(exact_regularizer(asked)[0], expected)
    torch.testing.assert_close(by_auto(asked, model, {"hidden1": 5}), expected)


def test_of_more_layers_it_has_a_term_for_every_set_of_sites_and_the_formula_those_of_one() -> None:
    model, task = DeepLinear(widths=(2, 3), dropout_at=("input", "hidden")), regression((3,), 2)
    chosen, x = parameters(model, task, 0), inputs(task)
    asked = network(model, task, chosen, x)
    weights = [chosen[f"weight{layer}"][0] for layer in (1, 2, 3)]
    one, more = (reference.linear_layers(weights, x[0], V, sizes) for sizes in ((1,), (2, 3)))
    assert more > 0.1 * one
    widths = {"input": 3, "hidden1": 2, "hidden2": 3}
    torch.testing.assert_close(over_all_masks(asked, widths), one + more)
    torch.testing.assert_close(exact_regularizer(asked)[0], one)


@pytest.mark.parametrize("dropout_at", [("hidden",), ("input",), ("hidden1",), ("input", "hidden2")], ids=str)
def test_the_shortcut_agrees_wherever_dropout_is(dropout_at: tuple[str, ...]) -> None:
    check_shortcut(DeepLinear(widths=(5, 4), dropout_at=dropout_at), TASKS["images"])


@pytest.mark.parametrize("model", BOTH, ids=lambda model: f"{model.name}, {'+'.join(model.dropout_at)}")
def test_the_logits_are_a_linear_function_of_the_features(model: Model) -> None:
    task = TASKS["images"]
    chosen, x = parameters(model, task, 0), inputs(task)
    product = torch.eye(task.inputs, dtype=torch.float64)
    for name, value in chosen.items():
        product = product @ value[0] if name.startswith("weight") else product
    z = model.forward(chosen, x, keep_all)[0]
    torch.testing.assert_close(z, x[0].flatten(1) @ product + chosen["bias"][0])


def test_linear_weights_begin_small_and_deep_ones_keep_the_scale() -> None:
    task = classification((100,), 10)
    weight = Linear().initial(0, task)["weight"]
    assert abs(weight.std() / 0.01 - 1) < 5 / np.sqrt(2 * weight.size)
    initial = DeepLinear(widths=(300, 200)).initial(0, task)
    for name, inputs_ in (("weight1", 100), ("weight2", 300), ("weight3", 200)):
        scaled = initial[name].astype(np.float64) * np.sqrt(inputs_)
        assert abs(scaled.mean()) < 5 / np.sqrt(scaled.size)
        assert abs(scaled.var() - 1) < 5 * np.sqrt(2 / scaled.size)
    assert not initial["bias"].any()
