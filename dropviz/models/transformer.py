"""The Transformer language model (Vaswani et al. 2017, as in GPT-2: Radford et al. 2019), and Transformer-XL (Dai et al. 2019).

Shapes: S seeds, B streams (or R·B′ of R replicas), T tokens, M of the memory, D width, H heads, F inner width.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from dropviz.choices import SpecError
from dropviz.models.attention import by_distance, in_heads, sinusoids, visible
from dropviz.models.language import (
    affine,
    embedded,
    only_language,
    output_logits,
    output_weight,
    vocabulary_shapes,
)
from dropviz.models.model import Carried, Model, dropout_field
from dropviz.models.normalization import normalized
from dropviz.streams import generator
from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour

INITIAL_SPREAD = 0.02  # standard deviation of GPT-2's weights
INTO_THE_SUM = ("merge_weight", "outer_weight")  # what these yield is added up over the layers


class Transformer(Model):
    """Layers of causal attention and of a feed-forward net, each added to what it read normalized (pre-norm).

    Weights are normal with a spread of 0.02, and 1/√(2·layers) of that where they write into the sum (GPT-2).
    """

    name: Literal["transformer"] = "transformer"
    layers: int = Field(2, ge=1, le=16, title="Layers", description="Of attention and feed-forward each.")
    width: int = Field(
        128, ge=1, le=2048, title="Width", description="Numbers that stand for a token in every layer."
    )
    heads: int = Field(4, ge=1, le=64, title="Heads", description="Of attention; they divide the width.")
    feedforward: int = Field(
        512, ge=1, le=8192, title="Feed-forward width", description="Inner units of each feed-forward net."
    )
    activation: Literal["gelu", "relu"] = Field(
        "gelu", title="Activation", description="In the feed-forward nets."
    )
    tied: bool = Field(
        True, title="Tied weights", description="The output's weights are those of the embedding."
    )
    relative: bool = Field(
        False,
        title="Relative positions",
        description="Attention sees how far back a token is (Transformer-XL). Off: sinusoids of its place in the segment.",
    )
    memory: int = Field(
        0,
        ge=0,
        le=1024,
        title="Memory",
        description="Tokens before the segment that each layer remembers (Transformer-XL); 0 for none.",
    )
    dropout_at: tuple[str, ...] = dropout_field(
        ("input", "residual"),
        {
            "embedding": "whole rows of the embedding, one choice a token of the vocabulary",
            "input": "what enters the first layer: embedding plus position",
            "attention": "attention's probabilities",
            "feedforward": "inner units of the feed-forward nets",
            "residual": "what attention and the feed-forward nets add",
            "output": "what enters the output",
        },
    )

    title: ClassVar[str] = "Transformer language model"

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Any:
        if self.width % self.heads:
            raise SpecError(
                f"heads = {self.heads} is not possible: it must divide width = {self.width}, so change either."
            )
        return self

    @model_validator(mode="after")
    def _memory_has_positions(self) -> Any:
        if self.memory and not self.relative:
            raise SpecError(
                f"memory = {self.memory} is not possible without relative positions, as a place in the segment says nothing"
                " about the tokens before it: set relative to true, or memory to 0."
            )
        return self

    def unfit(self, task: Task) -> str:
        """Texts only."""
        return only_language(task)

    def places(self) -> dict[str, str]:
        """embedding, input, then attention1, residual_attention1, feedforward1, residual_feedforward1, …, output."""
        found = {"embedding": "embedding", "input": "input"}
        for layer in range(1, self.layers + 1):
            found |= {f"attention{layer}": "attention", f"residual_attention{layer}": "residual"}
            found |= {f"feedforward{layer}": "feedforward", f"residual_feedforward{layer}": "residual"}
        return found | {"output": "output"}

    def shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """Of the vocabulary, of every layer by its number, and of the last normalization."""
        width = (1, self.width)
        shapes = vocabulary_shapes(task, self.width, self.width, tied=self.tied)
        for layer in range(1, self.layers + 1):
            shapes |= {f"{name}{layer}": shape for name, shape in self._layer_shapes().items()}
        return shapes | {"norm_gain": width, "norm_shift": width}

    def _layer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of relative positions, the biases are the u and v and the weight is the W_kR of Dai et al. (2019)."""
        width, inner = self.width, self.feedforward
        shapes: dict[str, tuple[int, ...]] = {"attention_gain": (1, width), "attention_shift": (1, width)}
        shapes |= {"query_weight": (width, width)}
        if self.relative:
            shapes |= {"content_bias": (1, width), "distance_bias": (1, width)}
            shapes |= {"distance_weight": (width, width)}
        else:
            shapes |= {"query_bias": (1, width)}
        shapes |= {"key_value_weight": (width, 2 * width), "key_value_bias": (1, 2 * width)}
        shapes |= {"merge_weight": (width, width), "merge_bias": (1, width)}
        shapes |= {"feedforward_gain": (1, width), "feedforward_shift": (1, width)}
        shapes |= {"inner_weight": (width, inner), "inner_bias": (1, inner)}
        return shapes | {"outer_weight": (inner, width), "outer_bias": (1, width)}

    def initial(self, seed: int, task: Task) -> dict[str, np.ndarray]:
        """Normal weights, see the class; gains one, biases and shifts zero."""
        random = generator(seed, "initial/transformer")
        values = {}
        for name, shape in self.shapes(task).items():
            if "weight" not in name and name != "embedding":
                values[name] = np.full(shape, "gain" in name, dtype=np.float32)
                continue
            spread = INITIAL_SPREAD / (sqrt(2 * self.layers) if name.startswith(INTO_THE_SUM) else 1)
            values[name] = (spread * random.standard_normal(shape)).astype(np.float32)
        return values

    def units(self, task: Task) -> int:
        """Of a token, whose attention sees the memory and itself; see ``units_a_pair`` for the rest of its segment."""
        layer = 9 * self.width + 2 * self.feedforward + 2 * self.heads * (self.memory + 1)
        return 2 * self.width + self.layers * layer + task.outputs

    def units_a_pair(self) -> int:
        """Scores and probabilities of every head, with their masks."""
        return 3 * self.layers * self.heads

    def dropped_parameters(self) -> dict[str, str]:
        """The embedding."""
        return {"embedding": "embedding"}

    def multiplications(self, task: Task) -> int:
        """Of the weights, and of attention to as many tokens as ``units`` counts."""
        products = 3 if self.relative else 2  # scores by content, by distance, sums of values
        return self.parameter_count(task) + self.layers * products * self.width * (self.memory + 1)

    def compute(
        self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour, carried: Carried
    ) -> Tensor:
        """Layer by layer, each for all tokens at once.

        Carried: what entered each layer at the last M tokens, or at all there were: ``memory1`` (S, B, ≤ M, D), ….
        """
        import torch

        h = sqrt(self.width) * embedded(parameters, x, dropout)
        if not self.relative:
            h = h + sinusoids(torch.arange(x.shape[2], dtype=h.dtype, device=h.device), self.width)
        h = dropout(h, "input")
        for layer in range(1, self.layers + 1):
            own = {name: parameters[f"{name}{layer}"] for name in self._layer_shapes()}
            added = self._attention(own, layer, h, dropout, carried)
            h = h + dropout(added, f"residual_attention{layer}")
            added = self._feedforward(own, layer, h, dropout)
            h = h + dropout(added, f"residual_feedforward{layer}")
        h = normalized(h, parameters["norm_gain"], parameters["norm_shift"])
        return output_logits(parameters, dropout(h, "output"))

    def output_layer(self, parameters: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
        """The site ``output``."""
        return ("output", output_weight(parameters)) if "output" in self.sites() else None

    def _attention(
        self, own: Mapping[str, Tensor], layer: int, h: Tensor, dropout: SiteBehaviour, carried: Carried
    ) -> Tensor:
        """What attention adds: (S, B, T, D). The keys are always M + T, so that its masks have one shape."""
        import torch
        from torch.nn import functional

        name, tokens = f"memory{layer}", h.shape[2]
        seen = torch.cat([carried[name], h], dim=2) if name in carried else h
        if self.memory:
            carried[name] = seen[:, :, -self.memory :]
        missing = self.memory + tokens - seen.shape[2]
        rows = functional.pad(seen, (0, 0, missing, 0)) if missing else seen
        rows = normalized(rows, own["attention_gain"], own["attention_shift"])
        query = affine(rows[:, :, -tokens:], own["query_weight"])
        both = affine(rows, own["key_value_weight"], own["key_value_bias"])
        key, value = (in_heads(part, self.heads) for part in both.chunk(2, -1))
        scores = self._scores(own, query, key) + visible(tokens, key.shape[3], missing, h)
        probabilities = dropout(scores.softmax(-1), f"attention{layer}")
        found = (probabilities @ value).transpose(2, 3).flatten(3)
        return affine(found, own["merge_weight"], own["merge_bias"])

    def _scores(self, own: Mapping[str, Tensor], query: Tensor, key: Tensor) -> Tensor:
        """qᵀk/√d, or the same with (q + u)ᵀk + (q + v)ᵀr for r of the distance: (S, B, H, T, K)."""
        import torch

        def biased(name: str) -> Tensor:
            return in_heads((query + own[name].unsqueeze(1)) * (self.width / self.heads) ** -0.5, self.heads)

        if not self.relative:
            return biased("query_bias") @ key.transpose(3, 4)
        distances = torch.arange(key.shape[3] - 1, -1, -1, dtype=key.dtype, device=key.device)
        waves = sinusoids(distances, self.width).expand(len(key), -1, -1)
        far = in_heads(affine(waves, own["distance_weight"]), self.heads).unsqueeze(1)
        content = biased("content_bias") @ key.transpose(3, 4)
        return content + by_distance(biased("distance_bias") @ far.transpose(3, 4))

    def _feedforward(
        self, own: Mapping[str, Tensor], layer: int, h: Tensor, dropout: SiteBehaviour
    ) -> Tensor:
        """What the feed-forward net adds: (S, B, T, D)."""
        from torch.nn import functional

        activation = functional.gelu if self.activation == "gelu" else functional.relu
        h = normalized(h, own["feedforward_gain"], own["feedforward_shift"])
        h = dropout(activation(affine(h, own["inner_weight"], own["inner_bias"])), f"feedforward{layer}")
        return affine(h, own["outer_weight"], own["outer_bias"])
