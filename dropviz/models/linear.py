"""The linear model: softmax regression of classes, linear regression of numbers, with dropout on the features.

Here the theory is exact: with half squared error R is a ridge penalty and equals R_approx, and of two classes R_approx is
(v/2) mean π(1 − π) Σ_j x_j² β_j² with β the difference of their weights (Wager et al. 2013, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from dropviz.models.examples import initial_values, only_examples
from dropviz.models.model import Carried, Directions, Model, SiteJacobians, dropout_field
from dropviz.streams import generator
from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour

INITIAL_SPREAD = 0.01  # the loss is convex, so it hardly matters where it begins


class Linear(Model):
    """One layer from the features to the outputs; normal weights with a spread of 0.01, zero biases."""

    name: Literal["linear"] = "linear"
    dropout_at: tuple[str, ...] = dropout_field(("input",), {"input": "the features"})

    title: ClassVar[str] = "Linear model"

    def places(self) -> dict[str, str]:
        """``input``."""
        return {"input": "input"}

    def unfit(self, task: Task) -> str:
        """No texts."""
        return only_examples(task)

    def shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """``weight`` (inputs, outputs) and ``bias`` (1, outputs)."""
        return {"weight": (task.inputs, task.outputs), "bias": (1, task.outputs)}

    def units(self, task: Task) -> int:
        """Features and outputs."""
        return task.inputs + task.outputs

    def initial(self, seed: int, task: Task) -> dict[str, np.ndarray]:
        """See the class."""
        random = generator(seed, "initial/linear")
        return initial_values(self.shapes(task), random, lambda name, shape: INITIAL_SPREAD)

    def compute(
        self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour, carried: Carried
    ) -> Tensor:
        """Of the features laid end to end."""
        return parameters["bias"].baddbmm(dropout(x.flatten(2), "input"), parameters["weight"])

    def jacobians(
        self, parameters: Mapping[str, Tensor], x: Tensor, directions: Directions
    ) -> tuple[Tensor, SiteJacobians] | None:
        """J_kj = x_j W_jk."""
        h, weight = x.flatten(2), parameters["weight"]
        slope = directions(weight) @ weight.transpose(1, 2)
        return parameters["bias"].baddbmm(h, weight), {"input": (h, slope.unsqueeze(1))}

    def output_layer(self, parameters: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
        """The features."""
        return "input", parameters["weight"]
