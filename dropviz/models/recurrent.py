"""Recurrent language models in the manner of AWD-LSTM (Merity et al. 2018): where they drop, and what runs along the text.

Shapes: S seeds, B streams (or R·B′ of R replicas), T tokens, H units of a layer, G gates.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from dropviz.models.language import (
    EMBEDDING_RANGE,
    affine,
    embedded,
    only_language,
    output_logits,
    output_weight,
    vocabulary_shapes,
)
from dropviz.models.model import Carried, Model, dropout_field
from dropviz.streams import generator
from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour

KINDS = {
    "embedding": "whole rows of the embedding, one choice a token of the vocabulary",
    "input": "what enters the first layer",
    "hidden": "between layers",
    "output": "what leaves the last layer",
    "recurrent": "the recurrent weights (weight drop)",
}


class Recurrent(Model):
    """Embedding, recurrent layers, output; the widths are the hidden ones but for the last layer, which has the embedding's
    if the output is tied to it."""

    layers: int = Field(2, ge=1, le=6, title="Layers", description="Recurrent layers, one on the other.")
    width: int = Field(
        128, ge=1, le=2048, title="Hidden width", description="Units of each layer but a tied last one."
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
    dropout_at: tuple[str, ...] = dropout_field(("input", "hidden", "output"), KINDS)

    gates: ClassVar[int]  # G
    states: ClassVar[tuple[str, ...]]  # what is carried, h first

    def unfit(self, task: Task) -> str:
        """Texts only."""
        return only_language(task)

    def places(self) -> dict[str, str]:
        """embedding, input, then recurrent1, hidden1, recurrent2, …, output."""
        found = {"embedding": "embedding", "input": "input"}
        for layer in range(1, self.layers + 1):
            found[f"recurrent{layer}"] = "recurrent"
            if layer < self.layers:
                found[f"hidden{layer}"] = "hidden"
        return found | {"output": "output"}

    def sizes(self) -> list[int]:
        """D, then the units of each layer."""
        last = self.embedding if self.tied else self.width
        return [self.embedding, *[self.width] * (self.layers - 1), last]

    def shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """Of the vocabulary, then ``input_weight1`` (I, G·H), ``recurrent_weight1`` (H, G·H), ``bias1`` (1, G·H), …"""
        sizes = self.sizes()
        shapes = vocabulary_shapes(task, sizes[0], sizes[-1], tied=self.tied)
        for layer in range(1, self.layers + 1):
            inputs, units = sizes[layer - 1 : layer + 1]
            shapes[f"input_weight{layer}"] = (inputs, self.gates * units)
            shapes[f"recurrent_weight{layer}"] = (units, self.gates * units)
            shapes[f"bias{layer}"] = (1, self.gates * units)
        return shapes

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
        """Layer by layer; in a layer, what comes from below for all tokens at once, then token by token."""
        over = (2,) if self.locked else ()
        h = dropout(embedded(parameters, x, dropout), "input", shared=over)
        for layer in range(1, self.layers + 1):
            weight = dropout(parameters[f"recurrent_weight{layer}"], f"recurrent{layer}", weight=True)
            h = self._layer(parameters, layer, h, weight, carried)
            if layer < self.layers:
                h = dropout(h, f"hidden{layer}", shared=over)
        return output_logits(parameters, dropout(h, "output", shared=over))

    def _layer(
        self, parameters: Mapping[str, Tensor], layer: int, h: Tensor, weight: Tensor, carried: Carried
    ) -> Tensor:
        """(S, B, T, I) → (S, B, T, H) from the state that was carried, which is replaced."""
        import torch

        streams, units = h.shape[:2], weight.shape[1]
        given = affine(h, parameters[f"input_weight{layer}"], parameters[f"bias{layer}"])
        rows = given.reshape(
            len(weight), -1, *given.shape[2:]
        )  # weights may be replicas in the place of seeds
        names = [f"{name}{layer}" for name in self.states]
        state = [
            carried[name].reshape(*rows.shape[:2], units)
            if name in carried
            else rows.new_zeros(*rows.shape[:2], units)
            for name in names
        ]
        found = []
        for part in rows.unbind(2):
            state = self.step(part, state, weight, units)
            found.append(state[0])
        for name, value in zip(names, state, strict=True):
            carried[name] = value.reshape(*streams, units)
        return torch.stack(found, dim=2).reshape(*streams, -1, units)

    @abstractmethod
    def step(self, given: Tensor, state: list[Tensor], weight: Tensor, units: int) -> list[Tensor]:
        """The state after a token, h first.

        Args:
            given: What comes from below (S, B, G·H).
            state: Before the token: (S, B, H) each.
            weight: Recurrent (S, H, G·H).
            units: H.
        """

    def output_layer(self, parameters: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
        """The site ``output``, unless its mask is locked: then an ε acts on many tokens."""
        return None if self.locked or "output" not in self.sites() else ("output", output_weight(parameters))
