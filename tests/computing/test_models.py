"""Every model keeps the contract at every kind of task that it can do, and the perceptron is the one of torch.nn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad

from dropviz.choices import SpecError
from dropviz.losses import cross_entropy, half_squared_error
from dropviz.masks import Multiply, Watch, keep_all
from dropviz.models import Model, registry
from dropviz.models.mlp import Mlp
from dropviz.regularizers import Network, site_jacobians, slopes
from dropviz.task import Task, classification
from tests.computing.tasks import (
    ROWS,
    TASKS,
    TOKENS,
    everywhere,
    factors,
    fits,
    inputs,
    mask_shapes,
    multiplied,
    parameters,
    repeated,
    small,
)

FEATURES, CLASSES = 6, 4
TASK = TASKS["table"]
PLACES = [("hidden",), ("input",), ("hidden2",), ("input", "hidden1"), ("input", "hidden")]
CASES = {
    f"{name}, {kind}{where}": (model, task)
    for name in registry.members
    for where, model in {"": small(name), ", everywhere": everywhere(name)}.items()
    for kind, task in TASKS.items()
    if task in fits(model)
}
every_case = pytest.mark.parametrize(("model", "task"), CASES.values(), ids=CASES)
every_name = pytest.mark.parametrize("name", registry.members)


# Contract.


@every_name
def test_every_model_can_do_some_task_and_says_in_a_sentence_why_not_another(name: str) -> None:
    reasons = [small(name).unfit(task) for task in TASKS.values()]
    assert "" in reasons
    assert all(reason[0].islower() and reason.endswith(".") for reason in reasons if reason)


@every_name
def test_a_model_is_read_back_from_its_table(name: str) -> None:
    for model in (small(name), everywhere(name)):
        assert registry.read(model.to_table()) == model
    assert registry.read(name) == registry.members[name].from_table({})


@every_case
def test_initial_parameters_have_the_declared_shapes(model: Model, task: Task) -> None:
    initial = model.initial(3, task)
    assert {name: value.shape for name, value in initial.items()} == model.shapes(task)
    assert {value.dtype for value in initial.values()} == {np.dtype(np.float32)}
    assert model.buffers() <= initial.keys()
    trained = [value.size for name, value in initial.items() if name not in model.buffers()]
    assert model.parameter_count(task) == sum(trained)


@every_case
def test_a_seed_decides_the_initial_parameters(model: Model, task: Task) -> None:
    def drawn(seed: int) -> bytes:
        return b"".join(value.tobytes() for value in model.initial(seed, task).values())

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


@every_case
def test_there_is_a_row_of_logits_an_example_or_token_for_every_seed(model: Model, task: Task) -> None:
    z = model.forward(parameters(model, task, 0, 1, 2), inputs(task, 3), keep_all)
    assert z.shape == (3, ROWS * (TOKENS if task.kind == "language" else 1), task.outputs)


@every_case
def test_a_seeds_logits_do_not_depend_on_its_neighbours(model: Model, task: Task) -> None:
    x = inputs(task, 3)
    together = model.forward(parameters(model, task, 0, 1, 2), x, keep_all)
    alone = model.forward(parameters(model, task, 1), x[1:2], keep_all)
    torch.testing.assert_close(together[1:2], alone)


@every_case
def test_an_examples_logits_do_not_depend_on_the_others(model: Model, task: Task) -> None:
    chosen, x = parameters(model, task, 0), inputs(task)
    together = model.forward(chosen, x, keep_all).unflatten(1, (ROWS, -1))
    alone = model.forward(chosen, x[:, 1:2], keep_all)
    torch.testing.assert_close(together[:, 1], alone)


@every_case
def test_the_dropout_sites_are_the_declared_ones_in_call_order(model: Model, task: Task) -> None:
    assert tuple(mask_shapes(model, task)) == model.sites()
    assert [site for site in model.places() if site in model.sites()] == list(model.sites())


@every_case
def test_replicas_have_their_own_masks_and_ones_change_nothing(model: Model, task: Task) -> None:
    chosen, x = parameters(model, task, 0, 1), inputs(task, 2)
    drawn = factors(model, task, 3, 2)
    z = model.forward(chosen, repeated(x, task, 3), Multiply(drawn, 3)).unflatten(1, (3, -1))
    for replica in range(3):
        part = {site: factor[:, replica : replica + 1] for site, factor in drawn.items()}
        torch.testing.assert_close(z[:, replica], model.forward(chosen, x, Multiply(part, 1)))
    ones = {site: torch.ones_like(factor) for site, factor in drawn.items()}
    plain = model.forward(chosen, x, keep_all)
    found = model.forward(chosen, repeated(x, task, 3), Multiply(ones, 3))
    torch.testing.assert_close(found, plain.repeat(1, 3, 1))


@every_case
def test_every_parameter_but_running_averages_is_trained(model: Model, task: Task) -> None:
    chosen = parameters(model, task, 0)
    z = model.forward(chosen, inputs(task), keep_all)
    found = grad(z.square().sum(), [value for value in chosen.values() if value.requires_grad])
    assert all(slope.abs().max() > 1e-6 for slope in found)


@every_case
def test_the_slopes_at_every_site_are_those_of_small_masks(model: Model, task: Task) -> None:
    random = torch.Generator().manual_seed(3)
    chosen, x, watch = parameters(model, task, 0), inputs(task), Watch()
    z = model.forward(chosen, x, watch)
    outputs = torch.randn(z.shape, generator=random, dtype=torch.float64)
    shapes = mask_shapes(model, task)
    still = {site: torch.ones(1, 1, *shape, dtype=torch.float64) for site, shape in shapes.items()}
    for site, slope in slopes(z, watch, outputs).items():
        assert slope.shape == (1, *shapes[site])
        way = torch.randn(slope.shape, generator=random, dtype=torch.float64)
        ends = []
        for delta in (1e-6, -1e-6):
            moved = Multiply(still | {site: 1 + delta * way.unsqueeze(1)}, 1)
            ends.append((model.forward(chosen, x, moved) * outputs).sum().detach())
        torch.testing.assert_close((slope * way).sum(), (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-7)


@every_case
def test_the_layer_that_is_named_as_the_outputs_is_linear_in_its_site(model: Model, task: Task) -> None:
    chosen, watch = parameters(model, task, 0), Watch()
    found = model.output_layer(chosen)
    if found is None:
        pytest.skip("no such layer")
    site, weight = found
    z = model.forward(chosen, inputs(task), watch)
    h = watch.before[site].flatten(1, -2)
    for k in range(task.outputs):
        outputs = torch.zeros_like(z)
        outputs[..., k] = 1
        slope = slopes(z, watch, outputs, [site])[site]
        torch.testing.assert_close(slope.flatten(1, -2), h * weight[:, None, :, k])


@every_case
def test_a_jacobian_shortcut_agrees_with_backward_passes(model: Model, task: Task) -> None:
    if task.kind == "language":
        pytest.skip("its tokens share masks")
    check_shortcut(model, task)


def check_shortcut(model: Model, task: Task = TASK) -> None:
    chosen, x = parameters(model, task, 0, 1), inputs(task, 2)
    for loss in (cross_entropy, half_squared_error):
        found = model.jacobians(chosen, x, loss.directions)
        if found is None:
            pytest.skip("no shortcut")
        network = Network(
            forward=lambda behaviour: model.forward(chosen, x, behaviour),
            y=torch.zeros(2, ROWS, dtype=torch.int64),
            variances=dict.fromkeys(model.sites(), 1.0),
            loss=loss,
        )
        z, jacobians = site_jacobians(network, shortcut=False)
        torch.testing.assert_close(found[0], z)
        assert tuple(found[1]) == model.sites()
        torch.testing.assert_close(multiplied(found[1]), multiplied(jacobians))


# The perceptron.


@pytest.mark.parametrize("dropout_at", PLACES, ids="+".join)
@pytest.mark.parametrize("widths", [(7, 5), (7, 5, 3)])
def test_the_shortcut_agrees_wherever_dropout_is(
    widths: tuple[int, ...], dropout_at: tuple[str, ...]
) -> None:
    check_shortcut(Mlp(widths=widths, dropout_at=dropout_at))


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_there_is_no_shortcut_for_smooth_activations(activation: str) -> None:
    model = Mlp(widths=(7,), activation=activation)
    assert model.jacobians(parameters(model, TASK, 0), inputs(TASK), cross_entropy.directions) is None


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize(("activation", "layer"), [("relu", nn.ReLU), ("tanh", nn.Tanh), ("gelu", nn.GELU)])
def test_the_perceptron_is_the_one_of_torch(activation: str, layer: type[nn.Module], norm: str) -> None:
    model = Mlp(widths=(7, 5), activation=activation, norm=norm)
    chosen, x = parameters(model, TASK, 0), inputs(TASK)
    parts: list[nn.Module] = []
    for number in (1, 2):
        parts.append(linear(chosen, number))
        if norm == "layer":
            parts.append(nn.LayerNorm(len(chosen[f"gain{number}"][0, 0])).double())
            load(parts[-1], weight=chosen[f"gain{number}"][0, 0], bias=chosen[f"shift{number}"][0, 0])
        parts.append(layer())
    twin = nn.Sequential(*parts, linear(chosen, 3))
    torch.testing.assert_close(model.forward(chosen, x, keep_all)[0], twin(x[0]))


def linear(chosen: dict[str, Tensor], number: int) -> nn.Linear:
    weight, bias = chosen[f"weight{number}"][0], chosen[f"bias{number}"][0, 0]
    layer = nn.Linear(*weight.shape).double()
    load(layer, weight=weight.T, bias=bias)
    return layer


def load(module: nn.Module, **values: Tensor) -> None:
    module.load_state_dict({name: value.detach() for name, value in values.items()})


def test_a_skip_connection_goes_around_the_site_where_the_widths_match() -> None:
    model = Mlp(widths=(6, 6, 5, 5), residual=True, activation="tanh")
    chosen, x = parameters(model, TASK, 0), inputs(TASK)
    drawn = factors(model, TASK)
    found = model.forward(chosen, x, Multiply(drawn, 1))
    h = x[0]
    for number in (1, 2, 3, 4):
        branch = linear(chosen, number)(h).tanh() * drawn[f"hidden{number}"][0, 0]
        h = branch if number == 3 else h + branch
    torch.testing.assert_close(found[0], linear(chosen, 5)(h))


@pytest.mark.parametrize("knobs", [{"norm": "layer"}, {"residual": True}], ids=str)
def test_there_is_no_shortcut_beside_normalization_or_skip_connections(knobs: dict[str, object]) -> None:
    model = Mlp(widths=(7, 7), **knobs)
    assert model.jacobians(parameters(model, TASK, 0), inputs(TASK), cross_entropy.directions) is None


def test_skip_connections_and_normalization_draw_the_same_weights() -> None:
    plain, other = (Mlp(widths=(6, 6), norm=norm).initial(0, TASK) for norm in ("none", "layer"))
    assert all((value == other[name]).all() for name, value in plain.items())
    assert all((other[f"gain{layer}"] == 1).all() for layer in (1, 2))


def test_weights_are_he_normal_and_biases_zero() -> None:
    initial = Mlp(widths=(300, 200)).initial(0, classification((100,), 10))
    for name, inputs_ in (("weight1", 100), ("weight2", 300), ("weight3", 200)):
        scaled = initial[name].astype(np.float64) / np.sqrt(2 / inputs_)
        count = scaled.size
        assert abs(scaled.mean()) < 5 / np.sqrt(count)
        assert abs(scaled.var() - 1) < 5 * np.sqrt(2 / count)
        assert abs((scaled**4).mean() - 3) < 5 * np.sqrt(96 / count)
    assert all(not initial[name].any() for name in ("bias1", "bias2", "bias3"))


@pytest.mark.parametrize(
    ("dropout_at", "sites"),
    [
        (("hidden",), ("hidden1", "hidden2")),
        (("input",), ("input",)),
        (("hidden2", "input"), ("input", "hidden2")),
        (("hidden", "hidden1", "input"), ("input", "hidden1", "hidden2")),
    ],
)
def test_sites_are_named_by_layer_in_call_order(dropout_at: tuple[str, ...], sites: tuple[str, ...]) -> None:
    assert Mlp(widths=(7, 5), dropout_at=dropout_at).sites() == sites


@pytest.mark.parametrize("wrong", ["hidden3", "hidden0", "output", "Hidden"])
def test_dropout_at_an_unknown_layer_is_refused(wrong: str) -> None:
    with pytest.raises(SpecError, match=rf"{wrong}.*no place of this network.*hidden1, hidden2\."):
        Mlp.from_table({"widths": [7, 5], "dropout_at": [wrong]})


def test_equal_probabilities_are_written_equally() -> None:
    ways = ["hidden=0.20", "hidden = 0.2", "hidden=2e-1"]
    assert {Mlp(dropout_at=(way,)).dropout_at for way in ways} == {("hidden=0.2",)}
    assert Mlp(dropout_at=("hidden=-0",)).dropout_at == ("hidden=0.0",)
    assert Mlp(dropout_at=("hidden=0.9999999",)).rates(0.5)["hidden1"] == 0.9999999
