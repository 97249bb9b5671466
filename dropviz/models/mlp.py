"""The multilayer perceptron, with dropout at any of its hidden layers or at the input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from dropviz.choices import SpecError, shown
from dropviz.models.model import Directions, Model
from dropviz.streams import generator

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
    dropout_at: tuple[str, ...] = Field(
        ("hidden",),
        min_length=1,
        title="Dropout at",
        description="hidden (all hidden layers), input, or single layers such as hidden1.",
        examples=["hidden", "input", "hidden1", "hidden2"],
    )

    title: ClassVar[str] = "Multilayer perceptron"

    @field_validator("dropout_at")
    @classmethod
    def _known_sites(cls, chosen: tuple[str, ...], info: object) -> tuple[str, ...]:
        depth = len(info.data.get("widths", ())) or 8  # type: ignore[attr-defined]
        known = ["input", "hidden", *(f"hidden{layer + 1}" for layer in range(depth))]
        for site in chosen:
            if site not in known:
                raise SpecError(
                    f"dropout_at = {shown(site)} is no layer of this network: choose from {', '.join(known)}."
                )
        return tuple(site for site in known if site in chosen)

    def sites(self) -> tuple[str, ...]:
        """``input`` first, then ``hidden1``, ``hidden2``, …"""
        layers = [f"hidden{layer + 1}" for layer in range(len(self.widths))]
        every = "hidden" in self.dropout_at
        return tuple(s for s in ("input", *layers) if s in self.dropout_at or (every and s != "input"))

    def shapes(self, features: int, classes: int) -> dict[str, tuple[int, ...]]:
        """``weight1`` (inputs, outputs), ``bias1`` (1, outputs), …: stacked, they go straight to baddbmm."""
        sizes = [features, *self.widths, classes]
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            shapes[f"weight{layer}"] = (inputs, outputs)
            shapes[f"bias{layer}"] = (1, outputs)
        return shapes

    def units(self, features: int, classes: int) -> int:
        """Of all layers."""
        return features + sum(self.widths) + classes

    def initial(self, seed: int, features: int, classes: int) -> dict[str, np.ndarray]:
        """He-normal weights, zero biases (He et al. 2015)."""
        random = generator(seed, "initial/mlp")
        values = {}
        for name, shape in self.shapes(features, classes).items():
            if name.startswith("bias"):
                values[name] = np.zeros(shape, dtype=np.float32)
            else:
                values[name] = (random.standard_normal(shape) * np.sqrt(HE_GAIN / shape[0])).astype(
                    np.float32
                )
        return values

    def forward(self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour) -> Tensor:
        """Logits (S, N, C); see ``Model.forward``."""
        activation, sites, depth = self._activation(), self.sites(), len(self.widths)
        h = dropout(x, "input") if "input" in sites else x
        for layer in range(1, depth + 1):
            h = activation(parameters[f"bias{layer}"].baddbmm(h, parameters[f"weight{layer}"]))
            if f"hidden{layer}" in sites:
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
        h, active = [x], []
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
