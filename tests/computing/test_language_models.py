"""Language models keep the contract of texts; the recurrent ones are those of torch.nn, masks and state included."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn import functional

from dropviz.losses import cross_entropy
from dropviz.masks import Multiply, Watch, keep_all
from dropviz.models import Model, registry
from dropviz.models.gated import Gated
from dropviz.models.gru import Gru
from dropviz.models.lstm import Lstm
from dropviz.models.qrnn import Qrnn, pooled
from dropviz.models.recurrent import Recurrent
from dropviz.models.transformer import Transformer
from dropviz.regularizers import explicit_shares, implicit_term, slopes
from dropviz.strategies import examples
from dropviz.task import classification, language
from dropviz.training import Block, Snapshot
from dropviz.training.feed import Batch
from dropviz.training.stacked import StackedModel
from tests.computing.letters import (
    TASK,
    Letters,
    experiment,
    factors,
    parameters,
    repeated,
    sites_of,
    tokens,
)

EVERYWHERE = ("embedding", "input", "hidden", "output")
RECURRENT = {"layers": 2, "width": 3, "embedding": 4}
ATTENDING = {"layers": 2, "width": 6, "heads": 2, "feedforward": 5}
ATTENDED = ("embedding", "input", "attention", "feedforward", "residual", "output")
MODELS: dict[str, Model] = {
    "lstm": Lstm(**RECURRENT, dropout_at=(*EVERYWHERE, "recurrent")),
    "lstm, untied, per token": Lstm(
        **RECURRENT, tied=False, locked=False, dropout_at=(*EVERYWHERE, "recurrent")
    ),
    "gru": Gru(**RECURRENT, dropout_at=(*EVERYWHERE, "recurrent")),
    "qrnn": Qrnn(**RECURRENT, dropout_at=(*EVERYWHERE, "weights")),
    "qrnn of window 1, per token": Qrnn(
        **RECURRENT, window=1, locked=False, dropout_at=(*EVERYWHERE, "weights")
    ),
    "transformer": Transformer(**ATTENDING, dropout_at=ATTENDED),
    "transformer, untied, relu": Transformer(**ATTENDING, tied=False, activation="relu", dropout_at=ATTENDED),
    "transformer, relative": Transformer(**ATTENDING, relative=True, dropout_at=ATTENDED),
    "transformer-xl": Transformer(**ATTENDING, relative=True, memory=3, dropout_at=ATTENDED),
}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
ONE_OF_EACH = ("lstm", "gru", "qrnn", "transformer", "transformer-xl")


# Contract.


@every_model
def test_every_place_of_a_model_is_called_in_order(model: Model) -> None:
    assert tuple(sites_of(model, tokens()).shapes) == tuple(model.places()) == model.sites()


@every_model
def test_initial_parameters_have_the_declared_shapes_and_are_the_seeds_own(model: Model) -> None:
    one, same, other = (model.initial(seed, TASK) for seed in (3, 3, 4))
    assert {name: value.shape for name, value in one.items()} == model.shapes(TASK)
    assert all((value == same[name]).all() for name, value in one.items())
    assert not (one["embedding"] == other["embedding"]).any()


@every_model
def test_a_seeds_logits_do_not_depend_on_its_neighbours(model: Model) -> None:
    chosen, x = parameters(model, 3), tokens(3)
    together = model.forward(chosen, x, keep_all)
    alone = model.forward({name: value[1:2] for name, value in chosen.items()}, x[1:2], keep_all)
    assert together.shape == (3, x[0].numel(), TASK.outputs)
    torch.testing.assert_close(together[1:2], alone)


@every_model
def test_a_token_is_predicted_from_those_before_it_alone(model: Model) -> None:
    chosen, x = parameters(model), tokens()
    z = model.forward(chosen, x, keep_all).unflatten(1, x.shape[1:])
    other = x.clone()
    other[0, 1, 2] = (x[0, 1, 2] + 1) % TASK.outputs
    moved = (model.forward(chosen, other, keep_all).unflatten(1, x.shape[1:]) - z).abs().amax(-1)[0] > 1e-12
    expected = torch.zeros(3, 4, dtype=torch.bool)
    expected[1, 2:] = True
    assert torch.equal(moved, expected)


@every_model
def test_replicas_have_their_own_masks_and_ones_change_nothing(model: Model) -> None:
    chosen, x = parameters(model, 2), tokens(2)
    drawn = factors(model, x, 3, 2)
    z = model.forward(chosen, repeated(x, 3), Multiply(drawn, 3)).unflatten(1, (3, -1))
    for replica in range(3):
        part = {site: factor[:, replica : replica + 1] for site, factor in drawn.items()}
        torch.testing.assert_close(z[:, replica], model.forward(chosen, x, Multiply(part, 1)))
    ones = {site: torch.ones_like(factor) for site, factor in drawn.items()}
    plain = model.forward(chosen, x, keep_all)
    torch.testing.assert_close(
        model.forward(chosen, repeated(x, 3), Multiply(ones, 3)), plain.repeat(1, 3, 1)
    )


@every_model
def test_every_parameter_reaches_the_logits(model: Model) -> None:
    chosen = parameters(model)
    z = model.forward(chosen, tokens(), keep_all)
    found = grad(z.square().sum(), list(chosen.values()))
    assert all(slope.abs().max() > 1e-6 for slope in found)


@every_model
def test_the_slopes_at_every_site_are_those_of_small_masks(model: Model) -> None:
    random = torch.Generator().manual_seed(3)
    chosen, x = parameters(model), tokens()
    watch = Watch()
    z = model.forward(chosen, x, watch)
    outputs = torch.randn(z.shape, generator=random, dtype=torch.float64)
    found = slopes(z, watch, outputs)
    shapes = sites_of(model, x).mask_shapes(x.shape[1])
    for site, slope in found.items():
        assert slope.shape == (1, *shapes[site])
        way = torch.randn(1, *shapes[site], generator=random, dtype=torch.float64)
        ends = []
        for delta in (1e-5, -1e-5):
            still = {name: torch.ones(1, 1, *shape, dtype=torch.float64) for name, shape in shapes.items()}
            moved = Multiply(still | {site: 1 + delta * way.unsqueeze(1)}, 1)
            ends.append((model.forward(chosen, x, moved) * outputs).sum().detach())
        torch.testing.assert_close((slope * way).sum(), (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if isinstance(model, Recurrent)])
def test_a_text_in_segments_is_the_text_in_one(name: str) -> None:
    model = MODELS[name]
    chosen, x = parameters(model, 2), tokens(2, length=7)
    whole = model.forward(chosen, x, keep_all).unflatten(1, x.shape[1:])
    carried: dict[str, Tensor] = {}
    parts = [
        model.forward(chosen, part, keep_all, carried).unflatten(1, part.shape[1:])
        for part in x.split([3, 1, 3], 2)
    ]
    torch.testing.assert_close(torch.cat(parts, 2), whole)


@every_model
def test_replicas_carry_a_state_of_their_own(model: Model) -> None:
    chosen, x = parameters(model), tokens(length=6)
    drawn = factors(model, x[:, :, :3], 2)
    carried: dict[str, Tensor] = {}
    for part in x.split(3, 2):
        z = model.forward(chosen, repeated(part, 2), Multiply(drawn, 2), carried).unflatten(1, (2, -1))
    for replica in range(2):
        own: dict[str, Tensor] = {}
        masks = Multiply({site: factor[:, replica : replica + 1] for site, factor in drawn.items()}, 1)
        for part in x.split(3, 2):
            alone = model.forward(chosen, part, masks, own)
        torch.testing.assert_close(z[:, replica], alone)
        for name, value in own.items():
            torch.testing.assert_close(carried[name].unflatten(1, (2, -1))[:, replica], value)


@every_model
def test_second_derivatives_are_finite_and_nearly_the_same_in_single_precision(model: Model) -> None:
    batch = Batch(x=tokens(streams=2, length=3), y=tokens(streams=2, length=3).flatten(1))
    found = {}
    for dtype in (torch.float64, torch.float32):
        stacked = StackedModel(experiment(model), [0], "cpu")
        stacked.parameters = {
            name: value.detach().to(dtype).requires_grad_()
            for name, value in parameters(model, scale=0.3).items()
        }
        network = stacked.network(batch)
        draws = stacked.draws(network, "train", ahead=1)
        watch = network.watch()
        z = network.forward(watch)
        terms = [implicit_term(network, z, watch, draws)]
        for estimator in ("auto", "forward", "sampled_label"):
            shares = explicit_shares(network, z, watch, draws, estimator=estimator)
            terms.append(torch.stack(list(shares.values())).sum(0))
        leaves = list(stacked.parameters.values())
        parts = [grad(term, leaves, retain_graph=True, materialize_grads=True) for term in terms]
        found[dtype] = torch.stack([torch.cat([part.flatten() for part in one]) for one in parts]).double()
    scale = found[torch.float64].abs().amax(1, keepdim=True)
    assert bool((scale > 0).all())
    torch.testing.assert_close(found[torch.float32] / scale, found[torch.float64] / scale, rtol=0, atol=2e-4)


@pytest.mark.parametrize("arm", examples())
@pytest.mark.parametrize("name", ["lstm", "qrnn", "transformer", "transformer-xl"])
def test_every_arm_trains_a_language_model(name: str, arm: str) -> None:
    block = Block(experiment(MODELS[name]), arm, [0, 1])
    before = {name: value.detach().clone() for name, value in block.parameters.items()}
    points = []
    while not block.finished:
        points += block.advance()
    assert block.step == 3
    assert all(torch.isfinite(value).all() for value in block.parameters.values())
    assert all((value != before[name]).any() for name, value in block.parameters.items())
    assert any(isinstance(point, Snapshot) and point.name == "sample" for point in points)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_saved_state_goes_on_to_the_bit(name: str) -> None:
    spec = experiment(MODELS[name], data=Letters(length=60), steps=4)
    straight, first, second = (Block(spec, "dropout-2", [0]) for _ in range(3))
    for _ in range(4):
        straight.update()
    first.update()
    first.update()
    second.load_state(first.state())
    second.update()
    second.update()
    assert all(torch.equal(value, second.parameters[name]) for name, value in straight.parameters.items())


@every_model
def test_a_language_model_wants_a_text_and_is_read_back(model: Model) -> None:
    assert model.unfit(TASK) == ""
    assert "choose a text" in model.unfit(classification((3,), 2))
    assert registry.read(model.to_table()) == model
    assert (
        model.units(TASK) > sum(shape[-1] for name, shape in model.shapes(TASK).items() if "bias" in name) / 2
    )
    assert model.multiplications(TASK) >= model.parameter_count(TASK)


# The LSTM and the GRU of torch.

GATES = {
    "lstm": [0, 1, 3, 2],
    "gru": [0, 1, 2],
}  # torch: input, forget, candidate, output; reset, update, new


def torchs(model: Gated, chosen: dict[str, Tensor], layer: int, mask: Tensor) -> nn.Module:
    """One layer in torch's own words: (I, G·H) → (G·H, I), gates in its order, one bias, weight drop by a mask (H, G·H)."""
    units = chosen[f"recurrent_weight{layer}"].shape[1]

    def in_order(weight: Tensor) -> Tensor:
        gates = weight[0].detach().T.reshape(model.gates, units, -1)
        return gates[GATES[model.name]].flatten(0, 1)

    inputs = chosen[f"input_weight{layer}"].shape[1]
    twin = {"lstm": nn.LSTM, "gru": nn.GRU}[model.name](inputs, units, batch_first=True).double()
    twin.load_state_dict(
        {
            "weight_ih_l0": in_order(chosen[f"input_weight{layer}"]),
            "weight_hh_l0": in_order(chosen[f"recurrent_weight{layer}"] * mask),
            "bias_ih_l0": in_order(chosen[f"bias{layer}"]).flatten(),
            "bias_hh_l0": torch.zeros(model.gates * units, dtype=torch.float64),
        }
    )
    return twin


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", [Lstm, Gru])
def test_a_gated_model_is_the_one_of_torch(kind: type[Gated], tied: bool, masked: bool) -> None:
    model = kind(**RECURRENT, tied=tied, dropout_at=(*EVERYWHERE, "recurrent"))
    chosen, x = parameters(model), tokens(length=5)
    one = factors(model, x) if masked else {s: torch.ones_like(f) for s, f in factors(model, x).items()}
    mask = {site: factor[:, 0] for site, factor in one.items()}
    carried: dict[str, Tensor] = {}
    z = [model.forward(chosen, part, Multiply(one, 1), carried) for part in x.split([3, 2], 2)]

    rows = chosen["embedding"][0] * mask["embedding"][0]
    h = functional.embedding(x[0], rows) * mask["input"][0]
    for layer in (1, 2):
        h, last = torchs(model, chosen, layer, mask[f"recurrent{layer}"])(h)
        state = last if isinstance(last, tuple) else (last,)
        for name, value in zip(model.states, state, strict=True):
            torch.testing.assert_close(carried[f"{name}{layer}"], value)
        h = h * mask["hidden1" if layer == 1 else "output"][0]
    output = chosen["embedding"][0].T if tied else chosen["output_weight"][0]
    expected = h @ output + chosen["output_bias"][0]
    found = torch.cat([part[0].unflatten(0, (3, -1)) for part in z], 1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", [Lstm, Gru, Qrnn])
def test_a_locked_mask_is_one_for_a_segment_of_a_stream(kind: type[Lstm | Gru | Qrnn]) -> None:
    for locked, length in ((True, 1), (False, 4)):
        model = kind(**RECURRENT, locked=locked, dropout_at=EVERYWHERE)
        shapes = sites_of(model, tokens()).shapes
        widths = {"input": 4, "hidden1": 3, "output": 4}
        assert shapes == {"embedding": (TASK.outputs, 1)} | {
            site: (3, length, width) for site, width in widths.items()
        }


@pytest.mark.parametrize("locked", [True, False])
def test_the_last_site_is_known_to_go_into_the_output_where_its_masks_are_by_token(locked: bool) -> None:
    for kind in (Lstm, Gru, Qrnn):
        model = kind(**RECURRENT, locked=locked, dropout_at=("hidden", "output"))
        found = model.output_layer(parameters(model))
        assert (found is None) == locked
        assert kind(**RECURRENT, locked=False, dropout_at=("hidden",)).output_layer(parameters(model)) is None


def test_the_layers_have_the_declared_widths() -> None:
    assert Lstm(**RECURRENT).sizes() == [4, 3, 4]
    assert Qrnn(**RECURRENT, tied=False).sizes() == [4, 3, 3]
    assert Gru(layers=1, width=3, embedding=4, dropout_at=("output",)).sizes() == [4, 4]


# The QRNN, by torch's convolution and by a sum over all that was added.


def layer_by_layer(
    model: Qrnn, chosen: dict[str, Tensor], x: Tensor, mask: dict[str, Tensor], state: dict[str, Tensor]
) -> Tensor:
    """Logits (B, T, V); ``state``: what entered the first layer last (B, I), and c of each layer (B, H)."""
    h = functional.embedding(x, chosen["embedding"][0] * mask["embedding"][0]) * mask["input"][0]
    for layer in (1, 2):
        weight = chosen[f"input_weight{layer}"][0] * mask[f"weights{layer}"][0]
        parts = weight.split(h.shape[-1])  # of the token itself, then of the one before
        kernel = torch.stack([part.T for part in parts[::-1]], dim=-1)
        before = state.get("x", torch.zeros_like(h[:, 0])).unsqueeze(1)
        row = torch.cat([before, h], 1) if len(parts) == 2 else h
        if len(parts) == 2:
            state["x"] = h[:, -1]
        a = functional.conv1d(row.transpose(1, 2), kernel, chosen[f"bias{layer}"][0, 0]).transpose(1, 2)
        forget, output, candidate = a.chunk(3, -1)
        forget, c0 = forget.sigmoid(), state.get(f"c{layer}", torch.zeros_like(a[:, 0, : a.shape[-1] // 3]))
        cs = []
        for t in range(x.shape[1]):
            kept = [forget[:, s + 1 : t + 1].prod(1) for s in range(t + 1)]
            added = [(1 - forget[:, s]) * candidate[:, s].tanh() for s in range(t + 1)]
            c = forget[:, : t + 1].prod(1) * c0
            cs.append(c + sum(k * b for k, b in zip(kept, added, strict=True)))
        c = torch.stack(cs, 1)
        state[f"c{layer}"] = c[:, -1]
        h = output.sigmoid() * c * mask["hidden1" if layer == 1 else "output"][0]
    return h @ chosen["embedding"][0].T + chosen["output_bias"][0]


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("locked", [True, False], ids=["locked", "per token"])
@pytest.mark.parametrize("window", [1, 2])
def test_the_qrnn_is_a_convolution_and_a_running_mean(window: int, locked: bool, masked: bool) -> None:
    model = Qrnn(**RECURRENT, window=window, locked=locked, dropout_at=(*EVERYWHERE, "weights"))
    chosen, x = parameters(model), tokens(length=8)
    carried: dict[str, Tensor] = {}
    state: dict[str, Tensor] = {}
    for part in x.split(4, 2):
        one = factors(model, part)
        one = one if masked else {site: torch.ones_like(factor) for site, factor in one.items()}
        z = model.forward(chosen, part, Multiply(one, 1), carried)
        mask = {site: factor[:, 0] for site, factor in one.items()}
        expected = layer_by_layer(model, chosen, part[0], mask, state)
        torch.testing.assert_close(z[0].unflatten(0, part.shape[1:]), expected)
    names = {"x": "entered1", "c1": "c1", "c2": "c2"}
    assert carried.keys() == {names[name] for name in state}
    for name, value in state.items():
        torch.testing.assert_close(carried[names[name]][0], value)


def test_pooling_with_a_constant_factor_is_a_geometric_mean_of_the_past() -> None:
    added = torch.zeros(1, 1, 5, 1)
    added[0, 0, 1] = 1.0
    found = pooled(torch.full_like(added, 0.5), added, torch.full((1, 1, 1), 8.0)).flatten()
    assert found.tolist() == [4.0, 3.0, 1.5, 0.75, 0.375]


def test_recurrent_weights_begin_uniform_and_biases_zero() -> None:
    for kind in (Lstm, Gru, Qrnn):
        initial = kind(width=100, embedding=64).initial(0, TASK)
        for name, value in initial.items():
            if "bias" in name:
                assert not value.any()
                continue
            bound = 0.1 if name == "embedding" else (value.shape[1] / kind.gates) ** -0.5
            assert 0.97 * bound < abs(value).max() <= bound
            assert abs(value.mean()) < 5 * bound / (3 * value.size) ** 0.5


def test_the_loss_at_the_beginning_is_near_that_of_guessing() -> None:
    task, x = language(1000, "word"), tokens(letters=1000)
    y = tokens(seed=2, letters=1000).flatten(1)
    for model in (Lstm(), Gru(), Qrnn(), Transformer(), Transformer(relative=True, memory=4)):
        initial = {name: torch.from_numpy(v)[None] for name, v in model.initial(0, task).items()}
        z = model.forward(initial, x, keep_all)
        assert cross_entropy.value(z, y).mean().item() == pytest.approx(log(1000), abs=0.1)
