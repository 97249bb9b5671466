"""The multilayer perceptron, with dropout at any of its hidden layers or at the input."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.models.examples import HE_GAIN, Activation, activated, initial_values, only_examples, skipped
from dropviz.models.model import Carried, Directions, Model, SiteJacobians, dropout_field
from dropviz.models.normalization import normalized
from dropviz.streams import generator
from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour

Width = Annotated[int, Field(ge=1, le=4096)]


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
    activation: Activation = Field("relu", title="Activation", description="After each layer.")
    norm: Literal["none", "layer"] = Field(
        "none", title="Normalization", description="Of each layer over its units, before the activation."
    )
    residual: bool = Field(
        False,
        title="Skip connections",
        description="A layer as wide as the one before adds to it; dropout acts on what is added.",
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
        return only_examples(task)

    def shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """``weight1`` (inputs, outputs), ``bias1`` (1, outputs), …: stacked, they go straight to baddbmm.

        With normalization ``gain1`` and ``shift1`` (1, outputs), … of the hidden layers.
        """
        sizes = [task.inputs, *self.widths, task.outputs]
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            shapes[f"weight{layer}"] = (inputs, outputs)
            shapes[f"bias{layer}"] = (1, outputs)
            if self.norm == "layer" and layer <= len(self.widths):
                shapes |= {f"gain{layer}": (1, outputs), f"shift{layer}": (1, outputs)}
        return shapes

    def units(self, task: Task) -> int:
        """Of all layers, before and after they are normalized."""
        return task.inputs + sum(self.widths) * (1 if self.norm == "none" else 2) + task.outputs

    def initial(self, seed: int, task: Task) -> dict[str, np.ndarray]:
        """He-normal weights, zero biases (He et al. 2015); gains 1."""
        random = generator(seed, "initial/mlp")
        return initial_values(self.shapes(task), random, lambda name, shape: np.sqrt(HE_GAIN / shape[0]))

    def compute(
        self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour, carried: Carried
    ) -> Tensor:
        """Of the features laid end to end."""
        depth = len(self.widths)
        h = dropout(x.flatten(2), "input")
        for layer in range(1, depth + 1):
            a = parameters[f"bias{layer}"].baddbmm(h, parameters[f"weight{layer}"])
            if self.norm == "layer":
                a = normalized(a, parameters[f"gain{layer}"], parameters[f"shift{layer}"])
            branch = dropout(activated(a, self.activation), f"hidden{layer}")
            h = skipped(h, branch) if self.residual and h.shape[-1] == branch.shape[-1] else branch
        return parameters[f"bias{depth + 1}"].baddbmm(h, parameters[f"weight{depth + 1}"])

    def jacobians(
        self, parameters: Mapping[str, Tensor], x: Tensor, directions: Directions
    ) -> tuple[Tensor, SiteJacobians] | None:
        """By the chain rule, layer by layer: one matrix product a layer instead of one backward pass a class.

        Only for ReLU, whose slope is a constant almost everywhere and so needs no second derivative, and plain layers.
        """
        if self.activation != "relu" or self.norm != "none" or self.residual:
            return None
        depth = len(self.widths)
        h = [x.flatten(2)]
        for layer in range(1, depth + 1):
            h.append(parameters[f"bias{layer}"].baddbmm(h[-1], parameters[f"weight{layer}"]).relu())
        output = parameters[f"weight{depth + 1}"]
        z = parameters[f"bias{depth + 1}"].baddbmm(h[-1], output)
        # S seeds, N rows, K directions in the space of the logits, W units
        slopes = (directions(output) @ output.transpose(-1, -2)).unsqueeze(1)
        places = list(self.places())
        lowest = places.index(self.sites()[0])
        found = {places[depth]: (h[depth], slopes)}
        for layer in range(depth, lowest, -1):
            active = (h[layer].detach() > 0).to(z.dtype).unsqueeze(2)
            below = (slopes * active).flatten(1, 2) @ parameters[f"weight{layer}"].transpose(-1, -2)
            slopes = below.unflatten(1, (x.shape[1], -1))
            found[places[layer - 1]] = (h[layer - 1], slopes)
        return z, {site: found[site] for site in self.sites()}

    def output_layer(self, parameters: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
        """The last hidden layer, if it has dropout: what a skip connection adds to it has no part in its ε."""
        depth = len(self.widths)
        site = f"hidden{depth}"
        return (site, parameters[f"weight{depth + 1}"]) if site in self.sites() else None
