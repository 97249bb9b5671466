"""The Transformer encoder for examples: patches of an image (Dosovitskiy et al. 2021) or features of a table as tokens.

Shapes: S seeds, B examples (or R·B′ of R replicas), T tokens, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from dropviz.choices import SpecError
from dropviz.models.attention import in_heads
from dropviz.models.examples import Activation, activated, initial_values, only_examples, skipped, spread
from dropviz.models.language import affine
from dropviz.models.model import Carried, Model, dropout_field
from dropviz.models.normalization import normalized
from dropviz.streams import generator
from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour


class Encoder(Model):
    """Layers of attention and of a feed-forward net, each added to what it read normalized; the mean token goes on.

    The token of a feature is its value times a vector of its own (Gorishniy et al. 2021), that of a patch is linear in its
    pixels; to each a vector of its position is added. Weights are normal with variance 1 / fan-in (LeCun et al. 1998),
    vectors of features and positions with 1 / width.
    """

    name: Literal["encoder"] = "encoder"
    layers: int = Field(2, ge=1, le=12, title="Layers", description="Of attention and feed-forward each.")
    width: int = Field(
        64, ge=1, le=1024, title="Width", description="Numbers that stand for a token in every layer."
    )
    heads: int = Field(4, ge=1, le=64, title="Heads", description="Of attention; they divide the width.")
    feedforward: int = Field(
        128, ge=1, le=4096, title="Feed-forward width", description="Inner units of each feed-forward net."
    )
    activation: Activation = Field("gelu", title="Activation", description="In the feed-forward nets.")
    patch: int = Field(
        4,
        ge=1,
        le=64,
        title="Patch",
        description="Pixels of a token each way, as far as the image goes. Of a table, every feature is a token.",
    )
    dropout_at: tuple[str, ...] = dropout_field(
        ("embedding", "residual"),
        {
            "embedding": "what enters the first layer: tokens plus positions",
            "attention": "attention's probabilities",
            "feedforward": "inner units of the feed-forward nets",
            "residual": "what attention and the feed-forward nets add",
            "output": "what enters the output",
        },
    )

    title: ClassVar[str] = "Transformer encoder"

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Any:
        if self.width % self.heads:
            raise SpecError(
                f"heads = {self.heads} is not possible: it must divide width = {self.width}, so change either."
            )
        return self

    def unfit(self, task: Task) -> str:
        """Features and images only."""
        return only_examples(task)

    def places(self) -> dict[str, str]:
        """embedding, then attention1, residual_attention1, feedforward1, residual_feedforward1, …, output."""
        found = {"embedding": "embedding"}
        for layer in range(1, self.layers + 1):
            found |= {f"attention{layer}": "attention", f"residual_attention{layer}": "residual"}
            found |= {f"feedforward{layer}": "feedforward", f"residual_feedforward{layer}": "residual"}
        return found | {"output": "output"}

    def tokens(self, task: Task) -> int:
        """T: patches, the last ones perhaps filled up with zeros; or features."""
        if len(task.shape) != 3:
            return task.inputs
        return prod(-(-size // self._patch(size)) for size in task.shape[1:])

    def _patch(self, size: int) -> int:
        return min(self.patch, size)

    def shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """Of the tokens, of every layer by its number, of the last normalization and of the output."""
        width, tokens = (1, self.width), self.tokens(task)
        shapes: dict[str, tuple[int, ...]] = {"position": (tokens, self.width)}
        if len(task.shape) == 3:
            pixels = task.shape[0] * prod(self._patch(size) for size in task.shape[1:])
            shapes |= {"patch_weight": (pixels, self.width)}
        else:
            shapes |= {"feature": (tokens, self.width)}
        for layer in range(1, self.layers + 1):
            shapes |= {f"{name}{layer}": shape for name, shape in self._layer_shapes().items()}
        shapes |= {"norm_gain": width, "norm_shift": width}
        return shapes | {"output_weight": (self.width, task.outputs), "output_bias": (1, task.outputs)}

    def _layer_shapes(self) -> dict[str, tuple[int, ...]]:
        width, inner = self.width, self.feedforward
        shapes: dict[str, tuple[int, ...]] = {"attention_gain": (1, width), "attention_shift": (1, width)}
        shapes |= {"query_key_value_weight": (width, 3 * width), "query_key_value_bias": (1, 3 * width)}
        shapes |= {"merge_weight": (width, width), "merge_bias": (1, width)}
        shapes |= {"feedforward_gain": (1, width), "feedforward_shift": (1, width)}
        shapes |= {"inner_weight": (width, inner), "inner_bias": (1, inner)}
        return shapes | {"outer_weight": (inner, width), "outer_bias": (1, width)}

    def initial(self, seed: int, task: Task) -> dict[str, np.ndarray]:
        """See the class; gains one, biases and shifts zero."""

        def scale(name: str, shape: tuple[int, ...]) -> float:
            return (self.width if name in ("position", "feature") else shape[0]) ** -0.5

        return initial_values(self.shapes(task), generator(seed, "initial/encoder"), scale)

    def units(self, task: Task) -> int:
        """Of all tokens; scores and probabilities for every pair of them."""
        tokens = self.tokens(task)
        layer = 9 * self.width + 2 * self.feedforward + 2 * self.heads * tokens
        return task.inputs + tokens * (2 * self.width + self.layers * layer) + self.width + task.outputs

    def multiplications(self, task: Task) -> int:
        """Weights of a layer act on every token; scores and sums of values take a product for every pair."""
        tokens, width = self.tokens(task), self.width
        layer = 4 * width**2 + 2 * width * self.feedforward + 2 * width * tokens
        return width * task.inputs + tokens * self.layers * layer + width * task.outputs

    def compute(
        self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour, carried: Carried
    ) -> Tensor:
        """Layer by layer, each for all tokens at once."""
        h = dropout(self._embedded(parameters, x), "embedding")
        for layer in range(1, self.layers + 1):
            own = {name: parameters[f"{name}{layer}"] for name in self._layer_shapes()}
            added = self._attention(own, layer, h, dropout)
            h = skipped(h, dropout(added, f"residual_attention{layer}"))
            added = self._feedforward(own, layer, h, dropout)
            h = skipped(h, dropout(added, f"residual_feedforward{layer}"))
        h = normalized(h, parameters["norm_gain"], parameters["norm_shift"]).mean(2)
        return affine(dropout(h, "output"), parameters["output_weight"], parameters["output_bias"])

    def output_layer(self, parameters: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
        """The site ``output``."""
        return ("output", parameters["output_weight"]) if "output" in self.sites() else None

    def _embedded(self, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """(S, B, features) or (S, B, C, height, width) → (S, B, T, D)."""
        if "feature" in parameters:
            tokens = x.flatten(2).unsqueeze(-1) * parameters["feature"].unsqueeze(1)
        else:
            tokens = affine(self._patches(x), parameters["patch_weight"])
        return tokens + parameters["position"].unsqueeze(1)

    def _patches(self, x: Tensor) -> Tensor:
        """(S, B, C, height, width) → (S, B, T, pixels), row by row, zeros beyond the edge."""
        from torch.nn import functional

        high, wide = (self._patch(size) for size in x.shape[3:])
        x = functional.pad(x, (0, -x.shape[4] % wide, 0, -x.shape[3] % high))
        x = x.unflatten(4, (-1, wide)).unflatten(3, (-1, high))
        return x.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)

    def _attention(self, own: Mapping[str, Tensor], layer: int, h: Tensor, dropout: SiteBehaviour) -> Tensor:
        """What attention adds: (S, B, T, D), or more examples where its site makes replicas."""
        rows = normalized(h, own["attention_gain"], own["attention_shift"])
        parts = affine(rows, own["query_key_value_weight"], own["query_key_value_bias"]).chunk(3, -1)
        query, key, value = (in_heads(part, self.heads) for part in parts)
        scores = query * sqrt(self.heads / self.width) @ key.transpose(3, 4)
        probabilities = dropout(scores.softmax(-1), f"attention{layer}")
        found = probabilities @ spread(value, probabilities.shape[1])
        return affine(found.transpose(2, 3).flatten(3), own["merge_weight"], own["merge_bias"])

    def _feedforward(
        self, own: Mapping[str, Tensor], layer: int, h: Tensor, dropout: SiteBehaviour
    ) -> Tensor:
        """What the feed-forward net adds: (S, B, T, D)."""
        h = normalized(h, own["feedforward_gain"], own["feedforward_shift"])
        inner = activated(affine(h, own["inner_weight"], own["inner_bias"]), self.activation)
        return affine(dropout(inner, f"feedforward{layer}"), own["outer_weight"], own["outer_bias"])
