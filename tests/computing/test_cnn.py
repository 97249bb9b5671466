"""The convolutional network is the one of torch.nn, masks included, and its running averages follow what a step sees first."""

from __future__ import annotations

import warnings
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropviz.choices import SpecError
from dropviz.datasets.digits import Digits
from dropviz.experiment import ExperimentSpec
from dropviz.losses import cross_entropy
from dropviz.masks import Multiply, keep_all
from dropviz.models.cnn import Cnn
from dropviz.models.normalization import groups_of
from dropviz.regularizers import Network, site_jacobians, slopes
from dropviz.task import Task, classification, regression
from dropviz.training import Block
from tests.computing.tasks import ROWS, TASKS, factors, inputs, mask_shapes, multiplied, parameters

EVERYWHERE = ("input", "hidden", "channel", "head")
IMAGES, SIGNALS = TASKS["images"], TASKS["signals"]
NORMS = ("none", "group", "batch")
every_norm = pytest.mark.parametrize("norm", NORMS)


def cnn(**knobs: Any) -> Cnn:
    return Cnn(**{"channels": (4, 4), "head": 5, "dropout_at": EVERYWHERE} | knobs)


def load(module: nn.Module, **values: Tensor) -> nn.Module:
    module.double().load_state_dict({name: value.detach() for name, value in values.items()}, strict=False)
    return module.eval()


def torchs(model: Cnn, chosen: dict[str, Tensor], x: Tensor, mask: dict[str, Tensor]) -> Tensor:
    """One seed by modules: (B, C, height, width) → (B, outputs)."""
    h = x * mask["input"]
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}[model.activation]()
    own = {name: value[0] for name, value in chosen.items()}
    for block, channels in enumerate(model.channels, start=1):
        kernel, bias = own[f"kernel{block}"], own.get(f"bias{block}")
        conv = nn.Conv2d(h.shape[1], channels, kernel.shape[2:], padding="same", bias=bias is not None)
        a = load(conv, weight=kernel, **({} if bias is None else {"bias": bias}))(h)
        affine = {"weight": own.get(f"gain{block}"), "bias": own.get(f"shift{block}")}
        if model.norm == "group":
            a = load(nn.GroupNorm(channels // 2, channels), **affine)(a)
        if model.norm == "batch":
            averages = {"running_mean": own[f"mean{block}"], "running_var": own[f"variance{block}"]}
            a = load(nn.BatchNorm2d(channels), **affine, **averages)(a)
        branch = activation(a) * mask[f"hidden{block}"] * mask[f"channel{block}"]
        h = h + branch if model.residual and h.shape[1] == channels else branch
        pool = nn.MaxPool2d if model.pooling == "max" else nn.AvgPool2d
        h = pool((min(2, h.shape[2]), min(2, h.shape[3])))(h)
    h = h.flatten(1)
    for layer in ("head", "output") if model.head else ("output",):
        weight, bias = own[f"{layer}_weight"], own[f"{layer}_bias"][0]
        h = load(nn.Linear(*weight.shape), weight=weight.T, bias=bias)(h)
        h = activation(h) * mask["head"] if layer == "head" else h
    return h


VARIANTS: dict[str, tuple[Cnn, Task]] = {
    "plain": (cnn(), IMAGES),
    "group": (cnn(norm="group"), IMAGES),
    "batch": (cnn(norm="batch"), IMAGES),
    "residual": (cnn(residual=True, norm="group", channels=(2, 4, 4)), IMAGES),
    "average, tanh": (cnn(pooling="average", activation="tanh"), IMAGES),
    "no head, gelu": (cnn(head=0, activation="gelu"), IMAGES),
    "kernel 5": (cnn(kernel=5), classification((3, 12, 9), 4)),
    "signals": (cnn(channels=(4, 4, 4, 4), kernel=5, norm="batch"), SIGNALS),
    "numbers": (cnn(norm="group"), regression((1, 4, 4), 2)),
}


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize(("model", "task"), VARIANTS.values(), ids=VARIANTS)
def test_the_network_is_the_one_of_torch(model: Cnn, task: Task, masked: bool) -> None:
    chosen, x = parameters(model, task, 0), inputs(task)
    drawn = factors(model, task)
    drawn = drawn if masked else {site: torch.ones_like(factor) for site, factor in drawn.items()}
    found = model.forward(chosen, x, Multiply(drawn, 1))
    expected = torchs(model, chosen, x[0], {site: factor[0, 0] for site, factor in drawn.items()})
    torch.testing.assert_close(found[0], expected)


@pytest.mark.parametrize(("model", "task"), VARIANTS.values(), ids=VARIANTS)
def test_the_slopes_at_all_sites_are_found_together_and_one_by_one(model: Cnn, task: Task) -> None:
    chosen, x = parameters(model, task, 0, 1), inputs(task, 2)
    network = Network(
        forward=lambda behaviour: model.forward(chosen, x, behaviour),
        y=torch.zeros(2, ROWS, dtype=torch.int64),
        variances=dict.fromkeys(model.sites(), 1.0),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        z, jacobians = site_jacobians(network)
    watch = network.watch()
    again = network.forward(watch)
    for k, direction in enumerate(cross_entropy.directions(z)):
        found = slopes(again, watch, direction.expand(again.shape))
        for site, slope in found.items():
            torch.testing.assert_close(multiplied(jacobians)[site][:, :, k], slope.flatten(2))
    torch.testing.assert_close(again, z)


def test_masks_are_by_unit_by_channel_and_by_pixel() -> None:
    assert mask_shapes(cnn(), IMAGES) == {
        "input": (ROWS, 2, 6, 5),
        "hidden1": (ROWS, 4, 6, 5),
        "channel1": (ROWS, 4, 1, 1),
        "hidden2": (ROWS, 4, 3, 2),
        "channel2": (ROWS, 4, 1, 1),
        "head": (ROWS, 5),
    }


def test_images_are_halved_and_kernels_reach_no_further_than_they() -> None:
    model = cnn(channels=(4, 4, 4, 4), kernel=5)
    assert model.sizes(SIGNALS) == [(1, 9), (1, 4), (1, 2), (1, 1), (1, 1)]
    assert model.kernels(SIGNALS) == [(1, 5), (1, 5), (1, 3), (1, 1)]


def test_a_table_is_refused_with_the_way_out() -> None:
    with pytest.raises(
        SpecError, match=r"^cnn cannot learn two-moons: its features are no picture, so choose "
    ):
        ExperimentSpec.from_table({"data": "two-moons", "model": "cnn"})


def test_without_a_head_there_is_no_site_of_it() -> None:
    assert Cnn(head=0).sites() == ("hidden1", "hidden2")
    with pytest.raises(SpecError, match=r"dropout_at = head is nowhere in this network: choose from input, "):
        Cnn.from_table({"head": 0, "dropout_at": ["head"]})


def test_channels_are_cut_into_equal_groups_of_two_or_more() -> None:
    assert {channels: groups_of(channels) for channels in (1, 2, 3, 4, 6, 7, 8, 9, 16, 64)} == {
        1: 1,
        2: 1,
        3: 1,
        4: 2,
        6: 3,
        7: 1,
        8: 4,
        9: 3,
        16: 4,
        64: 4,
    }


def test_kernels_are_he_normal() -> None:
    task = classification((3, 28, 28), 10)
    initial = Cnn(channels=(64, 32)).initial(0, task)
    for name in ("kernel1", "kernel2", "head_weight", "output_weight"):
        value = initial[name].astype("float64")
        fan_in = prod(value.shape[1:]) if name.startswith("kernel") else len(value)
        assert abs(value.var() * fan_in / 2 - 1) < 5 * (2 / value.size) ** 0.5


def test_a_pixel_uses_every_number_of_a_kernel() -> None:
    task = classification((1, 28, 28), 10)
    dense = 7 * 7 * 16 * 64 + 64 * 10
    expected = 28 * 28 * 9 * 8 + 14 * 14 * 9 * 8 * 16 + dense
    assert Cnn().multiplications(task) == expected


# Running averages.


def experiment(**knobs: Any) -> ExperimentSpec:
    table = {
        "data": Digits(train_size=40),
        "model": cnn(**{"norm": "batch", "dropout_at": ("input", "hidden")} | knobs),
        "p": 0.5,
        "seeds": 2,
        "train": {"steps": 4, "batch_size": 5, "learning_rate": 0.1},
        "observe": {"evaluations": 2, "statistics": 2, "masks": 2, "probe": 6},
    }
    return ExperimentSpec.from_table(table)


def averages(block: Block) -> dict[str, Tensor]:
    return {name: block.parameters[name].clone() for name in block.spec.model.buffers()}


def test_a_forward_pass_moves_the_averages_as_torch_does_and_does_not_use_that() -> None:
    model, task = cnn(norm="batch", channels=(4,)), IMAGES
    chosen, x = parameters(model, task, 0), inputs(task)
    carried: dict[str, Tensor] = {}
    z = model.forward(chosen, x, keep_all, carried)
    torch.testing.assert_close(z, model.forward(chosen, x, keep_all))
    twin = nn.BatchNorm2d(4).double()
    twin.load_state_dict(
        {
            "running_mean": chosen["mean1"][0],
            "running_var": chosen["variance1"][0],
            "weight": torch.ones(4),
            "bias": torch.zeros(4),
        },
        strict=False,
    )
    twin.train()(nn.functional.conv2d(x[0], chosen["kernel1"][0], padding=1))
    torch.testing.assert_close(carried["mean1"][0], twin.running_mean)
    torch.testing.assert_close(carried["variance1"][0], twin.running_var)
    assert carried.keys() == model.buffers()
    assert not any(value.requires_grad for value in carried.values())


def test_one_number_a_channel_has_no_spread_but_a_finite_one() -> None:
    model, task = cnn(norm="batch", channels=(2,)), classification((1, 1, 1), 2)
    carried: dict[str, Tensor] = {}
    model.forward(parameters(model, task, 0), torch.ones(1, 1, 1, 1, 1).double(), keep_all, carried)
    assert all(value.isfinite().all() for value in carried.values())


@pytest.mark.parametrize("arm", ["none", "dropout-2", "explicit+implicit", "dropout-2+analytic-noise"])
def test_a_step_follows_its_first_pass_and_divides_by_the_averages_before_it(arm: str) -> None:
    spec = experiment()
    block = Block(spec, arm, [0, 1])
    block.update()
    chosen = {name: value.detach().clone() for name, value in block.parameters.items()}
    batch = block.feed.batch(1)
    draws = block.stacked.draws(block.stacked.network(batch), "train", ahead=1)
    draws.step = 1
    first = Multiply(draws.masks(block.strategy.replicas)) if arm.startswith("dropout") else keep_all
    carried: dict[str, Tensor] = {}
    spec.model.forward(chosen, batch.x, first, carried)
    block.update()
    for name, value in averages(block).items():
        torch.testing.assert_close(value, carried[name])
        assert (value != chosen[name]).any()


def test_looking_at_a_network_does_not_move_its_averages() -> None:
    watched, plain = (Block(experiment(), "dropout", [0, 1]) for _ in range(2))
    watched.advance()
    assert all(not value.any() for name, value in averages(watched).items() if name.startswith("mean"))
    while not watched.finished:
        watched.advance()
    for _ in range(4):
        plain.update()
    assert all(torch.equal(value, plain.parameters[name]) for name, value in watched.parameters.items())


def test_averages_are_no_parameters_to_an_optimizer_or_a_penalty() -> None:
    block = Block(experiment(), "l2", [0, 1])
    buffers = [block.parameters[name] for name in block.spec.model.buffers()]
    assert len(buffers) == 4
    assert not {id(value) for value in buffers} & {id(value) for value in block.stacked.leaves}
    assert len(block.stacked.leaves) + 4 == len(block.parameters)


def test_a_saved_state_goes_on_to_the_bit() -> None:
    straight, first, second = (Block(experiment(), "dropout-2", [0]) for _ in range(3))
    for _ in range(4):
        straight.update()
    first.update()
    first.update()
    second.load_state(first.state())
    second.update()
    second.update()
    assert all(torch.equal(value, second.parameters[name]) for name, value in straight.parameters.items())


@every_norm
def test_a_seed_learns_the_same_beside_others(norm: str) -> None:
    together, alone = (Block(experiment(norm=norm), "dropout", seeds) for seeds in ([0, 1], [1]))
    for _ in range(4):
        together.update()
        alone.update()
    for name, value in alone.parameters.items():
        torch.testing.assert_close(together.parameters[name][1:], value, rtol=1e-4, atol=1e-5)
