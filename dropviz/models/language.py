"""What the language models share: weights that may be replicas, the embedding, the output that may be tied to it.

Shapes: S seeds, B streams (or R·B′ of R replicas), T tokens, D numbers of an embedding, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour

EMBEDDING_RANGE = 0.1  # of the uniform distribution that embeddings start from (Merity et al. 2018)


def only_language(task: Task) -> str:
    """Why a language model cannot do this task, or nothing."""
    return "" if task.kind == "language" else "it predicts the next token of a text, so choose a text."


def affine(h: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """hW + b: (S, B, …, I) → (S, B, …, O).

    Args:
        h: Activations (S, B, …, I).
        weight: (S, I, O); or (S·R, I, O) where it was dropped in R replicas, and B = R·B′.
        bias: (S, 1, O).
    """
    flat = h.reshape(len(weight), -1, h.shape[-1])
    if bias is not None and len(weight) == len(h):
        z, bias = bias.baddbmm(flat, weight), None
    else:
        z = flat @ weight
    z = z.view(len(h), -1, weight.shape[-1])
    z = z if bias is None else z + bias
    return z.view(*h.shape[:-1], weight.shape[-1])


def embedded(parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour) -> Tensor:
    """Tokens (S, B, T) → (S, B, T, D); the site ``embedding`` drops whole rows, one ε a token of the vocabulary."""
    import torch
    from torch.nn import functional

    table = dropout(parameters["embedding"], "embedding", shared=(2,), weight=True)
    first = torch.arange(len(table), device=x.device).view(-1, 1) * table.shape[1]
    rows = x.reshape(len(table), -1) + first
    return functional.embedding(rows, table.flatten(0, 1)).view(*x.shape, table.shape[2])


def output_logits(parameters: Mapping[str, Tensor], h: Tensor) -> Tensor:
    """(S, B, T, D) → logits (S, B·T, V)."""
    return affine(h, output_weight(parameters), parameters["output_bias"]).flatten(1, 2)


def output_weight(parameters: Mapping[str, Tensor]) -> Tensor:
    """(S, D, V): the embedding's, unless there is one of its own."""
    own = parameters.get("output_weight")
    return parameters["embedding"].transpose(1, 2) if own is None else own


def vocabulary_shapes(task: Task, inputs: int, outputs: int, *, tied: bool) -> dict[str, tuple[int, ...]]:
    """Of an embedding with so many numbers, and of the output after so many units: as many, if it is tied."""
    shapes: dict[str, tuple[int, ...]] = {"embedding": (task.outputs, inputs)}
    if not tied:
        shapes["output_weight"] = (outputs, task.outputs)
    return shapes | {"output_bias": (1, task.outputs)}
