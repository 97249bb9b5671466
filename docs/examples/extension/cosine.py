"""A model: cosines of random frequencies, which are trained too (after Rahimi & Recht 2007)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.models.examples import only_examples
from dropviz.models.model import Carried, Model, dropout_field
from dropviz.streams import generator
from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour


class Cosine(Model):
    """h = cos(xW + b), dropout, then a linear layer."""

    name: Literal["cosine"] = "cosine"
    width: int = Field(64, ge=1, le=4096, title="Width", description="How many cosines.")
    dropout_at: tuple[str, ...] = dropout_field(("hidden",), {"hidden": "the cosines"})

    title: ClassVar[str] = "Cosine features"

    def places(self) -> dict[str, str]:
        """``hidden``."""
        return {"hidden": "hidden"}

    def unfit(self, task: Task) -> str:
        """No texts."""
        return only_examples(task)

    def shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """Frequencies and phases, then the linear layer."""
        return {
            "frequency": (task.inputs, self.width),
            "phase": (1, self.width),
            "weight": (self.width, task.outputs),
            "bias": (1, task.outputs),
        }

    def units(self, task: Task) -> int:
        """Cosines and outputs."""
        return self.width + task.outputs

    def initial(self, seed: int, task: Task) -> dict[str, np.ndarray]:
        """Normal frequencies, uniform phases, a small linear layer; addressed by the seed, so the same on every machine."""
        random, shapes = generator(seed, "initial/cosine"), self.shapes(task)
        values = {
            "frequency": 2 * random.standard_normal(shapes["frequency"]) / np.sqrt(task.inputs / 2),
            "phase": random.uniform(0, 2 * np.pi, shapes["phase"]),
            "weight": random.standard_normal(shapes["weight"]) / np.sqrt(self.width),
            "bias": np.zeros(shapes["bias"]),
        }
        return {name: value.astype(np.float32) for name, value in values.items()}

    def compute(
        self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour, carried: Carried
    ) -> Tensor:
        """Stacked over seeds: (S, B, features) → (S, B, outputs)."""
        h = parameters["phase"].baddbmm(x.flatten(2), parameters["frequency"]).cos()
        return parameters["bias"].baddbmm(dropout(h, "hidden"), parameters["weight"])
