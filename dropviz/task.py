"""What a data set asks of a model: the kind of problem, the shape of an example, the number of outputs."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

Kind = Literal["classification", "regression", "language"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A problem, as far as a model has to know it; known without loading any data.

    Attributes:
        kind: Classes, numbers, or the next token of a running text.
        shape: Of one example: (features,), (channels, height, width); () where an example is a token.
        outputs: Classes, numbers to predict, or tokens of the vocabulary.
        token: What a token is: word, character, symbol; empty where there are none.
    """

    kind: Kind
    shape: tuple[int, ...]
    outputs: int
    token: str = ""

    @property
    def inputs(self) -> int:
        """Numbers of one example."""
        return prod(self.shape)

    @property
    def loss(self) -> str:
        """Name of the loss that belongs to it; see ``losses.LOSSES``."""
        return "half_squared_error" if self.kind == "regression" else "cross_entropy"

    @property
    def score(self) -> str:
        """The metric that a gain is measured by: accuracy, or loss, of which less is better."""
        return "accuracy" if self.kind == "classification" else "loss"


def classification(shape: tuple[int, ...], classes: int) -> Task:
    """Examples of this shape in so many classes."""
    return Task(kind="classification", shape=shape, outputs=classes)


def regression(shape: tuple[int, ...], targets: int = 1) -> Task:
    """Examples of this shape with so many numbers to predict."""
    return Task(kind="regression", shape=shape, outputs=targets)


def language(tokens: int, token: str) -> Task:
    """The next of so many tokens, given those before it."""
    return Task(kind="language", shape=(), outputs=tokens, token=token)
