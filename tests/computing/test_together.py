"""Seeds in one program: whichever of them train together, each has its own minibatches and masks, and the same curves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from dropviz.experiment import ExperimentSpec
from dropviz.training import Block
from tests.computing.test_training import run

GROUPINGS = [(7,), (3, 7), (12, 0, 7, 3, 5)]
STEPS = 4
SMALL = {"steps": STEPS, "batch_size": 3, "learning_rate": 0.2}
QUIET = {"evaluations": STEPS, "statistics": 0, "masks": 2}
TEXT = {"name": "markov", "symbols": 10, "train_tokens": 1000, "held_out_tokens": 100}
DIGITS = {"name": "digits", "train_size": 60}
MODELS = {
    "mlp": (DIGITS, {"widths": [7, 5], "dropout_at": ["input", "hidden"]}),
    "cnn": (DIGITS, {"channels": [2, 3], "head": 5}),
    "lstm": (TEXT, {"width": 6, "embedding": 4, "dropout_at": ["input", "recurrent", "output"]}),
    "transformer": (TEXT, {"width": 8, "heads": 2, "feedforward": 12, "layers": 1}),
}


def block(model: str, arm: str, seeds: tuple[int, ...]) -> Block:
    data, knobs = MODELS[model]
    table = {"data": data, "model": {"name": model, **knobs}, "arms": [arm], "seeds": 1, "train": SMALL}
    return Block(
        ExperimentSpec.from_table(table | {"observe": QUIET, "language": {"segment": 5}}), arm, seeds
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_seed_has_the_same_minibatches_and_masks_in_every_grouping(model: str) -> None:
    batches, masks = [], []
    for seeds in GROUPINGS:
        training, place = block(model, "dropout-2", seeds), seeds.index(7)
        found = [training.feed.batch(step) for step in range(STEPS)]
        batches.append([(batch.x[place], batch.y[place]) for batch in found])
        draws = training.stacked.draws(training.stacked.network(found[0]), "train")
        masks.append([])
        for draws.step in range(STEPS):
            masks[-1].append({site: mask[place] for site, mask in draws.masks(2).items()})
    for one, other in pairwise(zip(batches, masks, strict=True)):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("arm", ["none", "dropout", "dropout-2+mask-noise", "explicit+implicit"])
@pytest.mark.parametrize("model", MODELS)
def test_a_seed_has_the_same_losses_in_every_grouping(model: str, arm: str) -> None:
    found = [
        {name: [values[seeds.index(7)] for values in curve.values()] for name, curve in curves.items()}
        for seeds in GROUPINGS
        for curves in [run(block(model, arm, seeds))]
    ]
    for one, other in pairwise(found):
        assert one.keys() == other.keys()
        for name, values in one.items():
            np.testing.assert_allclose(other[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
