"""The multilayer perceptron, with dropout at any of its hidden layers or at the input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.models.model import Carried, Directions, Model, dropout_field
from dropviz.streams import generator
from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour

Width = Annotated[int, Field(ge=1, le=4096)]
HE_GAIN = 2.0  # variance 2 / fan-in keeps the scale of ReLU activations (He et al. 2015)


class Mlp(Model):
    """Fully connected layers with one nonlinearity and a linear output; He-normal weights, zero biases."""

    name: Literal["mlp"] = "mlp"
    widths: tuple[Width, ...] = Field(
        (128, 128),
        min_length=1,
        max_length=8,
        title="Hidden widths",
        description="Units of each hidden layer.",
    )
    activation: Literal["relu", "tanh", "gelu"] = Field(
        "relu", title="Activation", description="After each layer."
    )
    dropout_at: tuple[str, ...] = dropout_field(
        ("hidden",),
        {
            "hidden": "all hidden layers",
            "hidden1": "one of them",
            "input": "the features",
        },
    )

    title: ClassVar[str] = "Multilayer perceptron"

    def places(self) -> dict[str, str]:
        """``input`` first, then ``hidden1``, ``hidden2``, …"""
        return {"input": "input"} | {f"hidden{layer + 1}": "hidden" for layer in range(len(self.widths))}

    def unfit(self, task: Task) -> str:
        """No texts."""
        return (
            "it takes examples of a fixed size, so choose a language model such as lstm."
            if task.kind == "language"
            else ""
        )

    def shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """``weight1`` (inputs, outputs), ``bias1`` (1, outputs), …: stacked, they go straight to baddbmm."""
        sizes = [task.inputs, *self.widths, task.outputs]
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            shapes[f"weight{layer}"] = (inputs, outputs)
            shapes[f"bias{layer}"] = (1, outputs)
        return shapes

    def units(self, task: Task) -> int:
        """Of all layers."""
        return task.inputs + sum(self.widths) + task.outputs

    def initial(self, seed: int, task: Task) -> dict[str, np.ndarray]:
        """He-normal weights, zero biases (He et al. 2015)."""
        random = generator(seed, "initial/mlp")
        values = {}
        for name, shape in self.shapes(task).items():
            if name.startswith("bias"):
                values[name] = np.zeros(shape, dtype=np.float32)
            else:
                values[name] = (random.standard_normal(shape) * np.sqrt(HE_GAIN / shape[0])).astype(
                    np.float32
                )
        return values

    def compute(
        self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour, carried: Carried
    ) -> Tensor:
        """Of the features laid end to end."""
        activation, depth = self._activation(), len(self.widths)
        h = dropout(x.flatten(2), "input")
        for layer in range(1, depth + 1):
            h = activation(parameters[f"bias{layer}"].baddbmm(h, parameters[f"weight{layer}"]))
            h = dropout(h, f"hidden{layer}")
        return parameters[f"bias{depth + 1}"].baddbmm(h, parameters[f"weight{depth + 1}"])

    def jacobians(
        self, parameters: Mapping[str, Tensor], x: Tensor, directions: Directions
    ) -> tuple[Tensor, dict[str, Tensor]] | None:
        """By the chain rule, layer by layer: one matrix product a layer instead of one backward pass a class.

        Only for ReLU, whose slope is a constant almost everywhere and so needs no second derivative.
        """
        if self.activation != "relu":
            return None
        depth = len(self.widths)
        h, active = [x.flatten(2)], []
        for layer in range(1, depth + 1):
            a = parameters[f"bias{layer}"].baddbmm(h[-1], parameters[f"weight{layer}"])
            h.append(a.relu())
            active.append(a.detach() > 0)
        output = parameters[f"weight{depth + 1}"]
        z = parameters[f"bias{depth + 1}"].baddbmm(h[-1], output)
        # S seeds, N rows, K directions in the space of the logits, W units
        slope_SKW = directions(output.shape[-1]).to(output) @ output.transpose(-1, -2)
        slope = slope_SKW.unsqueeze(1)
        found = {}
        for layer in range(depth, -1, -1):
            site = f"hidden{layer}" if layer else "input"
            if site in self.sites():
                found[site] = slope * h[layer].unsqueeze(2)
            if layer:
                slope = slope * active[layer - 1].unsqueeze(2)
                flat = slope.flatten(1, 2) @ parameters[f"weight{layer}"].transpose(-1, -2)
                slope = flat.unflatten(1, (x.shape[1], -1))
                if not any(s in self.sites() for s in self._below(layer)):
                    break
        return z, {site: found[site] for site in self.sites()}

    def output_layer(self, parameters: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
        """The last hidden layer, if it has dropout."""
        depth = len(self.widths)
        site = f"hidden{depth}"
        return (site, parameters[f"weight{depth + 1}"]) if site in self.sites() else None

    @staticmethod
    def _below(layer: int) -> list[str]:
        return ["input", *(f"hidden{lower}" for lower in range(1, layer))]

    def _activation(self) -> Callable[[Tensor], Tensor]:
        import torch

        return {"relu": torch.relu, "tanh": torch.tanh, "gelu": torch.nn.functional.gelu}[self.activation]
