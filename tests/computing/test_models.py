"""Every model keeps the contract, and the perceptron is the one of torch.nn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dropviz.choices import SpecError
from dropviz.losses import cross_entropy, half_squared_error
from dropviz.masks import Multiply, Record, keep_all
from dropviz.models import Model, registry
from dropviz.models.mlp import Mlp
from dropviz.regularizers import Network, site_jacobians
from dropviz.task import classification

FEATURES, CLASSES, ROWS = 6, 4, 5
TASK = classification((FEATURES,), CLASSES)
MODELS = [member() for member in registry.members.values()]
PLACES = [("hidden",), ("input",), ("hidden2",), ("input", "hidden1"), ("input", "hidden")]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def parameters(model: Model, *seeds: int) -> dict[str, Tensor]:
    """The initial parameters of these seeds, stacked, in float64."""
    initial = [model.initial(seed, TASK) for seed in seeds]
    return {
        name: torch.from_numpy(np.stack([values[name] for values in initial])).double().requires_grad_()
        for name in initial[0]
    }


def inputs(seeds: int) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randn(seeds, ROWS, FEATURES, generator=random, dtype=torch.float64)


def sites_of(model: Model) -> dict[str, tuple[int, ...]]:
    record = Record()
    model.forward(parameters(model, 0), inputs(1), record)
    return record.shapes


# Contract.


@every_model
def test_initial_parameters_have_the_declared_shapes(model: Model) -> None:
    initial = model.initial(3, TASK)
    assert {name: value.shape for name, value in initial.items()} == model.shapes(TASK)
    assert {value.dtype for value in initial.values()} == {np.dtype(np.float32)}
    assert model.parameter_count(TASK) == sum(value.size for value in initial.values())


@every_model
def test_a_seed_decides_the_initial_parameters(model: Model) -> None:
    def drawn(seed: int) -> bytes:
        return b"".join(value.tobytes() for value in model.initial(seed, TASK).values())

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


@every_model
def test_logits_have_a_row_an_example_for_every_seed(model: Model) -> None:
    z = model.forward(parameters(model, 0, 1, 2), inputs(3), keep_all)
    assert z.shape == (3, ROWS, CLASSES)


@every_model
def test_a_seeds_logits_do_not_depend_on_its_neighbours(model: Model) -> None:
    x = inputs(3)
    together = model.forward(parameters(model, 0, 1, 2), x, keep_all)
    alone = model.forward(parameters(model, 1), x[1:2], keep_all)
    torch.testing.assert_close(together[1:2], alone)


@every_model
def test_the_dropout_sites_are_the_declared_ones_in_call_order(model: Model) -> None:
    shapes = sites_of(model)
    assert tuple(shapes) == model.sites()
    assert {shape[0] for shape in shapes.values()} == {ROWS}


@every_model
def test_masks_spread_to_replicas_and_ones_change_nothing(model: Model) -> None:
    ones = {site: torch.ones(1, 3, *shape, dtype=torch.float64) for site, shape in sites_of(model).items()}
    plain = model.forward(parameters(model, 0), inputs(1), keep_all)
    z = model.forward(parameters(model, 0), inputs(1), Multiply(ones))
    torch.testing.assert_close(z, plain.repeat(1, 3, 1))


@every_model
def test_every_parameter_reaches_the_logits(model: Model) -> None:
    chosen = parameters(model, 0)
    z = model.forward(chosen, inputs(1), keep_all)
    slopes = torch.autograd.grad(z.square().sum(), list(chosen.values()))
    assert all(slope.abs().max() > 0 for slope in slopes)


@every_model
def test_a_jacobian_shortcut_agrees_with_backward_passes(model: Model) -> None:
    check_shortcut(model)


@every_model
def test_a_model_is_read_back_from_its_table(model: Model) -> None:
    assert registry.read(model.to_table()) == model
    assert registry.read(model.name) == model


def check_shortcut(model: Model) -> None:
    chosen, x = parameters(model, 0, 1), inputs(2)
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
        torch.testing.assert_close(found[1], jacobians)


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
    assert model.jacobians(parameters(model, 0), inputs(1), cross_entropy.directions) is None


@pytest.mark.parametrize(("activation", "layer"), [("relu", nn.ReLU), ("tanh", nn.Tanh), ("gelu", nn.GELU)])
def test_the_perceptron_is_the_one_of_torch(activation: str, layer: type[nn.Module]) -> None:
    model = Mlp(widths=(7, 5), activation=activation)
    chosen = parameters(model, 0)
    with torch.no_grad():
        for name in ("bias1", "bias2", "bias3"):
            chosen[name].normal_(generator=torch.Generator().manual_seed(0))
    twin = nn.Sequential(
        nn.Linear(FEATURES, 7), layer(), nn.Linear(7, 5), layer(), nn.Linear(5, CLASSES)
    ).double()
    state = {}
    for number, index in enumerate((0, 2, 4), start=1):
        state[f"{index}.weight"] = chosen[f"weight{number}"][0].T.detach()
        state[f"{index}.bias"] = chosen[f"bias{number}"][0, 0].detach()
    twin.load_state_dict(state)
    x = inputs(1)
    torch.testing.assert_close(model.forward(chosen, x, keep_all)[0], twin(x[0]))


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
