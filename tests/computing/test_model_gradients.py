"""The gradients that arms follow, through every model of examples: those of small steps, third derivatives included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.losses import read_loss
from dropviz.masks import Draws, variance
from dropviz.models import Model, registry
from dropviz.regularizers import Choices, Network, surrogate_loss
from dropviz.task import Task
from tests.computing.tasks import ROWS, TASKS, everywhere, inputs, mask_shapes, parameters

P = 0.25
STEP = 1e-5
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "mlp": [
        {"widths": (6, 6), "norm": "layer", "residual": True, "activation": "tanh"},
        {"activation": "gelu"},
    ],
    "cnn": [
        {"channels": (4, 4), "norm": "group", "residual": True, "activation": "gelu"},
        {"norm": "batch", "pooling": "average", "activation": "tanh"},
    ],
}
CHOICES = {
    "exact": {"estimator": "exact", "implicit": 0.0},
    "auto": {"estimator": "auto", "implicit": 0.0},
    "forward": {"estimator": "forward", "implicit": 0.0},
    "implicit": {"explicit": 0.0},
    "shared tangent": {"shared_tangent": True},
}


def cases() -> Iterator[Any]:
    for name in registry.members:
        for knobs in ({}, *VARIANTS.get(name, [])):
            for kind in ("table", "numbers", "images", "signals"):
                model = everywhere(name, **knobs)
                if not model.unfit(TASKS[kind]) and (not knobs or kind in ("table", "images")):
                    yield pytest.param(
                        model, TASKS[kind], id=", ".join([name, *map(str, knobs.values()), kind])
                    )


def network(model: Model, task: Task, chosen: dict[str, Tensor]) -> Network:
    x, random = inputs(task), torch.Generator().manual_seed(5)
    y = torch.randn(1, ROWS, task.outputs, generator=random, dtype=torch.float64)
    return Network(
        forward=lambda behaviour: model.forward(chosen, x, behaviour),
        y=y if task.kind == "regression" else y.argmax(-1),
        variances=dict.fromkeys(model.sites(), variance(P)),
        loss=read_loss(task.loss),
        jacobians=lambda directions: model.jacobians(chosen, x, directions),
    )


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize(("model", "task"), list(cases()))
def test_a_step_follows_the_slope_of_what_it_names(model: Model, task: Task, choices: dict[str, Any]) -> None:
    start = parameters(model, task, 0)
    draws = Draws([0], mask_shapes(model, task), P, rows=ROWS, ahead=1)
    random = torch.Generator().manual_seed(4)
    ways = {
        name: torch.randn(value.shape, generator=random, dtype=torch.float64) * value.requires_grad
        for name, value in start.items()
    }
    asked = {"explicit": 1.0, "implicit": 1.0} | choices
    surrogate, strengths = Choices(**choices), {name: asked[name] for name in ("explicit", "implicit")}

    def terms(chosen: dict[str, Tensor]) -> Tensor:
        return surrogate_loss(network(model, task, chosen), draws, surrogate, **strengths).total

    leaves = {name: value for name, value in start.items() if value.requires_grad}
    found = grad(terms(start), list(leaves.values()))
    slope = sum((one * ways[name]).sum() for name, one in zip(leaves, found, strict=True))
    ends = [
        terms({name: (value + step * ways[name]).detach().requires_grad_() for name, value in start.items()})
        for step in (STEP, -STEP)
    ]
    torch.testing.assert_close(slope, (ends[0] - ends[1]).detach() / (2 * STEP), rtol=1e-5, atol=1e-6)
