"""A net so small that all its masks can be enumerated, as the library sees it and as the reference does.

``copies`` stacks the same net several times: each copy draws from a stream of its own, so one call gives
that many independent samples of an estimator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.experiment import ExperimentSpec
from dropviz.masks import Draws, Watch, variance
from dropviz.models.mlp import Mlp
from dropviz.regularizers import Network
from dropviz.task import classification
from tests.reference import Net

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "gelu": torch.nn.functional.gelu}


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """One net with one minibatch: x (B, D), y (B,), parameters w (P,)."""

    model: Mlp
    net: Net
    w: Tensor
    x: Tensor
    y: Tensor
    p: float

    def parameters(self, copies: int = 1, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
        """w cut into the model's tensors, stacked."""
        shapes = self.model.shapes(classification((self.net.sizes[0],), self.net.sizes[-1]))
        parts = self.w.split([torch.Size(shape).numel() for shape in shapes.values()])
        return {
            name: part.to(dtype).reshape(1, *shape).repeat(copies, 1, 1).requires_grad_()
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    def network(self, copies: int = 1, dtype: torch.dtype = torch.float64) -> tuple[Network, list[Tensor]]:
        """The library's view, and the parameters to differentiate by."""
        parameters, x = self.parameters(copies, dtype), self.x.to(dtype).expand(copies, -1, -1)
        network = Network(
            forward=lambda behaviour: self.model.forward(parameters, x, behaviour),
            y=self.y.expand(copies, -1),
            variances={site: variance(self.p) for site in self.model.sites()},
            jacobians=lambda directions: self.model.jacobians(parameters, x, directions),
            output=lambda watch: self._output(watch, parameters),
            parameters=list(parameters.values()),
        )
        return network, list(parameters.values())

    def _output(self, watch: Watch, parameters: dict[str, Tensor]) -> tuple[str, Tensor, Tensor] | None:
        found = self.model.output_layer(parameters)
        return found and (found[0], watch.before[found[0]], found[1])

    def draws(self, copies: int = 1, purpose: str = "train") -> Draws:
        """Random numbers, a stream a copy."""
        layers = {"input": 0} | {f"hidden{layer}": layer for layer in range(1, len(self.net.sizes) - 1)}
        shapes = {site: (len(self.y), self.net.sizes[layers[site]]) for site in self.model.sites()}
        return Draws(range(copies), shapes, self.p, purpose=purpose, ahead=1)


def tiny(
    sizes: Sequence[int] = (2, 3, 3, 3),
    *,
    dropout_at: tuple[str, ...] = ("hidden",),
    activation: str = "tanh",
    p: float = 0.25,
    rows: int = 2,
    output_scale: float = 1.0,
    seed: int = 0,
) -> Tiny:
    """A random net with random biases, and a random minibatch."""
    random = torch.Generator().manual_seed(seed)
    parts = []
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        scale = sqrt(1 / inputs) * (output_scale if layer == len(sizes) - 2 else 1.5)
        parts.append(scale * torch.randn(inputs, outputs, generator=random, dtype=torch.float64))
        parts.append(0.3 * torch.randn(outputs, generator=random, dtype=torch.float64))
    model = Mlp(widths=tuple(sizes[1:-1]), dropout_at=dropout_at, activation=activation)
    return Tiny(
        model=model,
        net=Net(sizes=tuple(sizes), sites=model.sites(), activation=ACTIVATIONS[activation]),
        w=torch.cat([part.flatten() for part in parts]),
        x=torch.randn(rows, sizes[0], generator=random, dtype=torch.float64),
        y=torch.arange(rows) % sizes[-1],
        p=p,
    )


def gradients(values: Tensor, leaves: Sequence[Tensor]) -> Tensor:
    """The gradient of each copy's own value: (S, P)."""
    parts = grad(values.sum(), list(leaves), retain_graph=True, materialize_grads=True)
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def assert_mean(samples: Tensor, expected: Tensor | float, *, errors: float = 5.0) -> None:
    """The mean over the first axis lies within so many standard errors; masks are float32, hence the 1e-7."""
    expected = torch.as_tensor(expected, dtype=samples.dtype)
    error = samples.std(0) / sqrt(len(samples))
    distance = (samples.mean(0) - expected).abs() / (error + 1e-7 * (1 + expected.abs()))
    assert distance.max() < errors, f"{distance.max():.1f} standard errors"


def experiment(*settings: str) -> ExperimentSpec:
    """A few steps on two moons with 8 hidden units, changed by settings."""
    table = {
        "data": {"name": "two-moons", "train_size": 24},
        "model": {"name": "mlp", "widths": [8]},
        "arms": ["none", "dropout"],
        "seeds": 2,
        "train": {"steps": 12, "batch_size": 4, "learning_rate": 0.1},
        "observe": {"evaluations": 4, "statistics": 2, "probe": 8, "masks": 2},
    }
    return ExperimentSpec.from_table(table).with_settings(settings)
