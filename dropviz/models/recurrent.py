"""Recurrent language models in the manner of AWD-LSTM (Merity et al. 2018): where they drop, and how layers are stacked.

What runs along the text within a layer is in ``gated`` (LSTM, GRU) and in ``qrnn``.

Shapes: S seeds, B streams (or R·B′ of R replicas), T tokens, I inputs and H units of a layer, G gates.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from dropviz.models.language import (
    EMBEDDING_RANGE,
    embedded,
    only_language,
    output_logits,
    output_weight,
    vocabulary_shapes,
)
from dropviz.models.model import Carried, Model
from dropviz.streams import generator
from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour

DEFAULT_PLACES = ("input", "hidden", "output")
KINDS = {
    "embedding": "whole rows of the embedding, one choice a token of the vocabulary",
    "input": "what enters the first layer",
    "hidden": "between layers",
    "output": "what leaves the last layer",
}  # and the one of the weights


class Recurrent(Model):
    """Embedding, recurrent layers, output; the widths are the hidden ones but for the last layer, which has the embedding's
    if the output is tied to it."""

    layers: int = Field(2, ge=1, le=6, title="Layers", description="Recurrent layers, one on the other.")
    width: int = Field(
        128, ge=1, le=4096, title="Hidden width", description="Units of each layer but a tied last one."
    )
    embedding: int = Field(
        128, ge=1, le=2048, title="Embedding", description="Numbers that stand for a token."
    )
    tied: bool = Field(
        True,
        title="Tied weights",
        description="The output's weights are those of the embedding; the last layer then has its width.",
    )
    locked: bool = Field(
        True,
        title="Locked masks",
        description="One mask for a whole segment of a stream, not one a token (variational dropout).",
    )

    gates: ClassVar[int]  # G
    dropped_weights: ClassVar[str]  # kind of the site at a layer's weights
    dropped_parameter: ClassVar[str]  # the name of these weights, before the layer's number

    def unfit(self, task: Task) -> str:
        """Texts only."""
        return only_language(task)

    def places(self) -> dict[str, str]:
        """embedding, input, then the weights of layer 1, hidden1, the weights of layer 2, …, output."""
        found = {"embedding": "embedding", "input": "input"}
        for layer in range(1, self.layers + 1):
            found[f"{self.dropped_weights}{layer}"] = self.dropped_weights
            if layer < self.layers:
                found[f"hidden{layer}"] = "hidden"
        return found | {"output": "output"}

    def dropped_parameters(self) -> dict[str, str]:
        """The embedding, and weights of every layer."""
        layers = range(1, self.layers + 1)
        own = {f"{self.dropped_weights}{layer}": f"{self.dropped_parameter}{layer}" for layer in layers}
        return {"embedding": "embedding"} | own

    def sizes(self) -> list[int]:
        """D, then the units of each layer."""
        last = self.embedding if self.tied else self.width
        return [self.embedding, *[self.width] * (self.layers - 1), last]

    def shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """Of the vocabulary, then the weights of layer 1 and ``bias1`` (1, G·H), the weights of layer 2, …"""
        sizes = self.sizes()
        shapes = vocabulary_shapes(task, sizes[0], sizes[-1], tied=self.tied)
        for layer in range(1, self.layers + 1):
            inputs, units = sizes[layer - 1 : layer + 1]
            shapes |= self.weight_shapes(layer, inputs, units)
            shapes[f"bias{layer}"] = (1, self.gates * units)
        return shapes

    @abstractmethod
    def weight_shapes(self, layer: int, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        """Weight of a layer → its shape (…, G·H)."""

    def initial(self, seed: int, task: Task) -> dict[str, np.ndarray]:
        """Embedding and output uniform in ± 0.1, layers in ± 1/√H, biases zero."""
        random = generator(seed, f"initial/{self.name}")
        values = {}
        for name, shape in self.shapes(task).items():
            if "bias" in name:
                values[name] = np.zeros(shape, dtype=np.float32)
                continue
            vocabulary = name in ("embedding", "output_weight")
            bound = EMBEDDING_RANGE if vocabulary else (shape[1] / self.gates) ** -0.5
            values[name] = random.uniform(-bound, bound, shape).astype(np.float32)
        return values

    def units(self, task: Task) -> int:
        """Of a token: embedding, gates and states of all layers, logits."""
        return self.embedding + sum((self.gates + 2) * units for units in self.sizes()[1:]) + task.outputs

    def compute(
        self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour, carried: Carried
    ) -> Tensor:
        """Layer by layer, each for all tokens."""
        over = (2,) if self.locked else ()
        h = dropout(embedded(parameters, x, dropout), "input", shared=over)
        for layer in range(1, self.layers + 1):
            h = self.layer(parameters, layer, h, dropout, carried)
            if layer < self.layers:
                h = dropout(h, f"hidden{layer}", shared=over)
        return output_logits(parameters, dropout(h, "output", shared=over))

    @abstractmethod
    def layer(
        self,
        parameters: Mapping[str, Tensor],
        layer: int,
        h: Tensor,
        dropout: SiteBehaviour,
        carried: Carried,
    ) -> Tensor:
        """(S, B, T, I) → (S, B, T, H) from the state that was carried, which is replaced."""

    def output_layer(self, parameters: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
        """The site ``output``, unless its mask is locked: then an ε acts on many tokens."""
        return None if self.locked or "output" not in self.sites() else ("output", output_weight(parameters))
