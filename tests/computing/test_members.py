"""Members: copies of a block's networks on other minibatches, masks and weights, against one network after the other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.curvature.products import flat
from dropviz.experiment import ExperimentSpec
from dropviz.masks import keep_all
from dropviz.regularizers import masked_losses
from dropviz.training import Block, members
from tests.computing.tiny import experiment


def text(model: str, *settings: str) -> ExperimentSpec:
    table = {
        "data": {"name": "markov", "train_tokens": 1000, "held_out_tokens": 1000},
        "model": {"name": model},
        "arms": ["dropout"],
        "train": {"steps": 4, "batch_size": 3},
        "language": {"segment": 5},
        "observe": {"evaluations": 2, "statistics": 1, "probe": 8, "masks": 2},
    }
    return ExperimentSpec.from_table(table).with_settings(settings)


SPECS = {
    "mlp": experiment("data.name=digits", "data.train_size=40"),
    "cnn": experiment("data.name=digits", "data.train_size=40", "model.name=cnn"),
    "lstm": text(
        "lstm", "model.width=6", "model.embedding=6", 'model.dropout_at=["input","recurrent","embedding"]'
    ),
    "transformer": text("transformer", "model.width=8", "model.layers=1", "model.heads=2"),
}
every_model = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def observed(spec: ExperimentSpec) -> Block:
    block = Block(spec, "dropout", (0, 3))
    block.advance()
    block.advance()
    return block


@every_model
def test_members_have_the_gradients_of_networks_one_after_the_other(spec: ExperimentSpec) -> None:
    block = observed(spec)
    stacked, batches = block.stacked, block.observation.batches
    networks = [stacked.network(batch) for batch in batches]
    masks = [
        stacked.draws(network, f"test/{index}", ahead=1).masks(3) for index, network in enumerate(networks)
    ]
    found = members.gradients(stacked, batches, masks)
    assert found.shape[:3] == (2, len(batches), 3)
    for index, network in enumerate(networks):
        losses = masked_losses(network, masks[index], 3)
        for mask in range(3):
            expected = flat(grad(losses[:, mask].sum(), stacked.leaves, retain_graph=True))
            torch.testing.assert_close(found[:, index, mask], expected, rtol=1e-4, atol=1e-6)


def test_as_many_members_at_a_time_as_may_be_held_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    block = observed(SPECS["mlp"])
    networks = [block.stacked.network(batch) for batch in block.observation.batches]
    masks = [block.stacked.draws(network, "test", ahead=1).masks(2) for network in networks]
    at_once = members.gradients(block.stacked, block.observation.batches, masks)
    points = torch.randn(7, at_once.shape[-1])
    losses = members.losses_at(block.stacked, block.observation.batch, points)
    monkeypatch.setattr(members, "HELD", 1)
    torch.testing.assert_close(members.gradients(block.stacked, block.observation.batches, masks), at_once)
    torch.testing.assert_close(members.losses_at(block.stacked, block.observation.batch, points), losses)


@every_model
def test_the_loss_with_other_weights_is_that_of_a_network_that_has_them(spec: ExperimentSpec) -> None:
    block = observed(spec)
    stacked = block.stacked
    here = flat([leaf.detach() for leaf in stacked.leaves])[:1]
    points = here + 0.1 * torch.randn(3, here.shape[1], generator=torch.Generator().manual_seed(1))
    found = members.losses_at(stacked, block.observation.batch, points)
    for point, loss in zip(points, found, strict=True):
        torch.testing.assert_close(loss, _loss_of(block, point), rtol=1e-5, atol=1e-6)


def _loss_of(block: Block, point: Tensor) -> Tensor:
    """By writing the weights into the first seed's network and back."""
    leaves = block.stacked.leaves
    kept = [leaf.detach().clone() for leaf in leaves]
    with torch.no_grad():
        for leaf, part in zip(leaves, point.split([leaf[0].numel() for leaf in leaves]), strict=True):
            leaf[0] = part.view_as(leaf[0])
        network = block.stacked.network(block.observation.batch)
        loss = network.mean(network.loss.value(network.forward(keep_all), network.y))[0]
        for leaf, value in zip(leaves, kept, strict=True):
            leaf.copy_(value)
    return loss
