"""Clipping: that of torch for each seed alone, on the sum with the noise or without it, and in the record."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from dropviz.optimizers import clip
from dropviz.strategies import examples
from dropviz.training import Block
from tests.computing.test_training import OPTIMIZERS, assert_same, block, curves, run
from tests.computing.tiny import gradients

CLIP = "train.clip=0.3"
APART = "train.clip_noise=false"
NOISY = ["dropout-2+mask-noise", "implicit", "explicit+implicit"]


def stacked(seeds: int = 3) -> list[Tensor]:
    """Gradients whose norms differ between seeds: about 0.5, 5, 50."""
    random = torch.Generator().manual_seed(0)
    scales = torch.tensor([0.1, 1.0, 10.0])[:seeds].view(-1, 1, 1)
    shapes = ((3, 4), (1, 4), (4, 2))
    return [scales * torch.randn(seeds, *shape, generator=random) for shape in shapes]


def clipped_by_torch(parts: list[Tensor], largest: float) -> list[Tensor]:
    """Of one network."""
    leaves = [torch.zeros_like(part, requires_grad=True) for part in parts]
    for leaf, part in zip(leaves, parts, strict=True):
        leaf.grad = part.clone()
    clip_grad_norm_(leaves, largest)
    return [leaf.grad for leaf in leaves if leaf.grad is not None]


# Gradients.


@pytest.mark.parametrize("largest", [1e-3, 1.0, 20.0, 1e9])
def test_each_seed_is_clipped_as_torch_clips_its_network_alone(largest: float) -> None:
    given = stacked()
    found, acted = clip(given, largest)
    for seed in range(3):
        alone = [part[seed] for part in given]
        torch.testing.assert_close([part[seed] for part in found], clipped_by_torch(alone, largest))
        norm = torch.cat([part.flatten() for part in alone]).norm()
        assert bool(acted[seed]) == bool(norm > largest)


def test_a_shorter_gradient_keeps_every_bit() -> None:
    given = stacked()
    found, acted = clip(given, 1.0)
    assert acted.tolist() == [False, True, True]
    assert all(torch.equal(one[0], other[0]) for one, other in zip(found, given, strict=True))


def test_clipping_leaves_the_given_gradients_alone() -> None:
    given = stacked()
    clip(given, 1e-3)
    assert all(torch.equal(one, other) for one, other in zip(given, stacked(), strict=True))


def test_a_gradient_of_zero_stays_zero() -> None:
    found, acted = clip([torch.zeros(2, 3, 4)], 1e-3)
    assert torch.equal(found[0], torch.zeros(2, 3, 4))
    assert acted.tolist() == [False, False]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_seed_whose_gradient_is_not_finite_spoils_no_other(bad: float) -> None:
    given = stacked()
    given[0][1, 0, 0] = bad
    found, acted = clip(given, 1.0)
    expected, expected_acted = clip(stacked(), 1.0)
    for seed in (0, 2):
        assert all(torch.equal(one[seed], other[seed]) for one, other in zip(found, expected, strict=True))
        assert acted[seed] == expected_acted[seed]
    assert not found[0][1].isfinite().all()


def test_a_tensor_may_hold_one_number_a_seed() -> None:
    found, _ = clip([torch.tensor([3.0, 0.3]), torch.tensor([[4.0], [0.4]])], 1.0)
    torch.testing.assert_close(found, [torch.tensor([0.6, 0.3]), torch.tensor([[0.8], [0.4]])])


# Steps.


@pytest.mark.parametrize(
    ("setting", "twin"),
    [("train.momentum=0.9", torch.optim.SGD), ("train.optimizer=adamw", torch.optim.AdamW)],
)
def test_steps_with_clipping_decay_and_a_schedule_are_those_of_a_plain_loop(
    setting: str, twin: Callable[..., torch.optim.Optimizer]
) -> None:
    settings = (setting, "train.schedule=cosine", "train.weight_decay=0.1", "train.learning_rate=0.2", CLIP)
    training = block(*settings, arm="none", seeds=(3,))
    own = {name: value[0].detach().clone().requires_grad_() for name, value in training.parameters.items()}
    options = {"momentum": 0.9} if twin is torch.optim.SGD else {}
    optimizer = twin(list(own.values()), lr=0.2, weight_decay=0.1, **options)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
    acted = 0
    for step in range(12):
        rows = training.feed.minibatches.at(step)
        hidden = torch.relu(training.feed.splits["x_train"][0, rows] @ own["weight1"] + own["bias1"])
        z = hidden @ own["weight2"] + own["bias2"]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(z, training.feed.splits["y_train"][0, rows]).backward()
        acted += int(clip_grad_norm_(own.values(), 0.3) > 0.3)
        optimizer.step()
        scheduler.step()
        training.update()
    assert 0 < acted < 12
    assert training.clipped.tolist() == [acted]
    for name, value in own.items():
        torch.testing.assert_close(training.parameters[name][0], value, rtol=1e-4, atol=1e-5)


def moved(training: Block) -> list[Tensor]:
    """The gradients that one step of plain SGD took."""
    before = [leaf.detach().clone() for leaf in training.stacked.leaves]
    training.update()
    return [(start - leaf) / 0.1 for start, leaf in zip(before, training.stacked.leaves, strict=True)]


def next_gradients(training: Block) -> tuple[Tensor, Tensor]:
    """Of data and explicit term, and of the implicit term, in the step that comes next: (S, P) each."""
    network = training.stacked.network(training.feed.batch(training.step))
    draws = training.stacked.draws(network, "train")
    draws.step = training.step
    terms = training.strategy.objective(network, draws, training.spec.surrogate)
    assert terms.implicit is not None
    data = terms.data if terms.explicit is None else terms.data + terms.explicit
    return gradients(data, training.stacked.leaves), gradients(terms.implicit, training.stacked.leaves)


@pytest.mark.parametrize("noise", ["train.clip_noise=true", APART])
@pytest.mark.parametrize("arm", NOISY)
def test_noise_is_clipped_with_the_rest_or_added_afterwards_in_full(arm: str, noise: str) -> None:
    training = block("train.clip=0.05", noise, arm=arm, seeds=(3, 5))
    rest, implicit = next_gradients(training)
    assert (implicit.norm(dim=1) > 0).all()
    found = torch.cat([part.flatten(1) for part in moved(training)], dim=1)
    for seed in range(2):
        if noise == APART:
            expected = clipped_by_torch([rest[seed]], 0.05)[0] + implicit[seed]
        else:
            expected = clipped_by_torch([rest[seed] + implicit[seed]], 0.05)[0]
        torch.testing.assert_close(found[seed], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("arm", ["none", "dropout", "explicit"])
def test_without_implicit_noise_it_does_not_matter_whether_that_is_clipped(arm: str) -> None:
    one, other = run(block(CLIP, arm=arm)), run(block(CLIP, APART, arm=arm))
    assert_same(one, other)


@pytest.mark.parametrize("arm", examples())
def test_clipping_that_never_acts_changes_no_bit(arm: str) -> None:
    found, expected = run(block("train.clip=1e9", arm=arm)), run(block(arm=arm))
    assert all((values == 0).all() for values in found.pop("train/clipped").values())
    assert_same(found, expected)


@pytest.mark.parametrize("settings", [(CLIP,), (CLIP, APART), (CLIP, APART, "p=0")], ids=" ".join)
@pytest.mark.parametrize("arm", examples())
def test_a_clipped_seed_does_not_depend_on_its_neighbours(arm: str, settings: tuple[str, ...]) -> None:
    quiet = (*settings, "observe.statistics=0", "train.warmup=3", "train.schedule=linear")
    alone = run(block(*quiet, arm=arm, seeds=(7,)))
    beside = run(block(*quiet, arm=arm, seeds=(3, 0, 7, 12)))
    for name, curve in alone.items():
        for step, values in curve.items():
            np.testing.assert_allclose(beside[name][step][2:3], values, err_msg=name, rtol=1e-4, atol=1e-6)


# The record.


def test_the_share_of_clipped_steps_since_the_last_point_is_recorded() -> None:
    by_hand = block("train.clip=0.5", arm="dropout", seeds=(0, 1, 2))
    found = run(block("train.clip=0.5", arm="dropout", seeds=(0, 1, 2)))["train/clipped"]
    assert list(found) == [3, 6, 9, 12]
    shares = []
    for _ in range(4):
        flags = []
        for _ in range(3):
            before = by_hand.clipped.clone()
            by_hand.update()
            flags.append(by_hand.clipped - before)
        shares.append(torch.stack(flags).mean(0))
    np.testing.assert_allclose(np.stack(list(found.values())), torch.stack(shares), rtol=1e-6)
    assert len(np.unique(np.stack(list(found.values())))) > 1


def test_without_clipping_nothing_is_recorded_or_saved_of_it() -> None:
    training = block()
    assert "train/clipped" not in run(training)
    assert "clipped" not in training.state()


def test_clipping_so_hard_that_it_always_acts_is_a_share_of_one() -> None:
    found = run(block("train.clip=1e-6"))["train/clipped"]
    assert all((values == 1).all() for values in found.values())


# Resuming.


@pytest.mark.parametrize("noise", ["train.clip_noise=true", APART])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_clipped_run_that_stops_anywhere_goes_on_to_the_last_bit(optimizer: str, noise: str) -> None:
    settings = ("train.steps=150", "observe.evaluations=1", "observe.statistics=0", optimizer, CLIP, noise)
    settings = (*settings, "train.schedule=cosine", "train.warmup=80")
    arm = "dropout-2+mask-noise"
    whole = block(*settings, arm=arm)
    expected = run(whole)
    found, training = [], block(*settings, arm=arm)
    while not training.finished:
        found += training.advance(seconds=0)  # a few steps at a time
        state, training = training.state(), block(*settings, arm=arm)
        training.load_state(state)
    assert_same(curves(found), expected)
    assert 0 < expected["train/clipped"][150].mean() < 1
    assert all(torch.equal(value, training.parameters[name]) for name, value in whole.parameters.items())
