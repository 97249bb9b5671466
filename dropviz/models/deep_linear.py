"""Linear layers on one another: a linear function, but not a linear problem, and dropout's effects are known in closed form.

With half squared error and dropout at one hidden layer, R = R_approx = (v/2) Σ_i ‖u_i‖² mean h_i² with the weights u_i out of
unit i (Mianjy et al. 2018); at several, R has a term for every set of sites (Mianjy & Arora 2019) and R_approx those of
one site.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.models.examples import initial_values, only_examples
from dropviz.models.mlp import Width
from dropviz.models.model import Carried, Directions, Model, SiteJacobians, dropout_field
from dropviz.streams import generator
from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour


class DeepLinear(Model):
    """Layers without a nonlinearity, and a bias at the output alone; normal weights of variance 1 / fan-in.

    So the variance of a layer's units is that of the layer before (LeCun et al. 1998).
    """

    name: Literal["deep-linear"] = "deep-linear"
    widths: tuple[Width, ...] = Field(
        (64,),
        min_length=1,
        max_length=8,
        title="Hidden widths",
        description="Units of each hidden layer.",
    )
    dropout_at: tuple[str, ...] = dropout_field(
        ("hidden",),
        {
            "hidden": "all hidden layers",
            "hidden1": "one of them",
            "input": "the features",
        },
    )

    title: ClassVar[str] = "Deep linear network"

    def places(self) -> dict[str, str]:
        """``input`` first, then ``hidden1``, ``hidden2``, …"""
        return {"input": "input"} | {f"hidden{layer + 1}": "hidden" for layer in range(len(self.widths))}

    def unfit(self, task: Task) -> str:
        """No texts."""
        return only_examples(task)

    def shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """``weight1`` (inputs, outputs), ``weight2``, …, and ``bias`` (1, outputs)."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, size in enumerate(pairwise([task.inputs, *self.widths, task.outputs]), start=1):
            shapes[f"weight{layer}"] = size
        return shapes | {"bias": (1, task.outputs)}

    def units(self, task: Task) -> int:
        """Of all layers."""
        return task.inputs + sum(self.widths) + task.outputs

    def initial(self, seed: int, task: Task) -> dict[str, np.ndarray]:
        """See the class."""
        random = generator(seed, "initial/deep-linear")
        return initial_values(self.shapes(task), random, lambda name, shape: shape[0] ** -0.5)

    def compute(
        self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour, carried: Carried
    ) -> Tensor:
        """Of the features laid end to end."""
        *hidden, output = self._weights(parameters)
        h = dropout(x.flatten(2), "input")
        for layer, weight in enumerate(hidden, start=1):
            h = dropout(h @ weight, f"hidden{layer}")
        return parameters["bias"].baddbmm(h, output)

    def jacobians(
        self, parameters: Mapping[str, Tensor], x: Tensor, directions: Directions
    ) -> tuple[Tensor, SiteJacobians] | None:
        """J_kj = h_j (W_l W_l+1 …)_jk at layer l: what follows a unit is the same for every example."""
        weights, found = self._weights(parameters), {}
        h = [x.flatten(2)]
        for weight in weights[:-1]:
            h.append(h[-1] @ weight)
        slope = directions(weights[-1]).expand(len(h[0]), -1, -1)
        for layer in range(len(weights) - 1, -1, -1):
            slope = slope @ weights[layer].transpose(1, 2)
            found[f"hidden{layer}" if layer else "input"] = (h[layer], slope.unsqueeze(1))
        z = parameters["bias"].baddbmm(h[-1], weights[-1])
        return z, {site: found[site] for site in self.sites()}

    def output_layer(self, parameters: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
        """The last hidden layer, if it has dropout."""
        site = f"hidden{len(self.widths)}"
        return (site, self._weights(parameters)[-1]) if site in self.sites() else None

    def _weights(self, parameters: Mapping[str, Tensor]) -> list[Tensor]:
        return [parameters[f"weight{layer + 1}"] for layer in range(len(self.widths) + 1)]
