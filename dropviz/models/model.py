"""What a model is: its knobs, its dropout sites, its initial parameters and its forward pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dropviz.choices import Choices

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour


Directions = Callable[[int], "Tensor"]  # C → (K, C): combinations of the logits


class Model(Choices):
    """A model and its knobs.

    Shapes: S seeds, N rows (a minibatch, or several replicas of it), D features, C classes.
    """

    name: str
    title: ClassVar[str]

    @abstractmethod
    def sites(self) -> tuple[str, ...]:
        """Names of the dropout sites that this model performs, in call order."""

    @abstractmethod
    def shapes(self, features: int, classes: int) -> dict[str, tuple[int, ...]]:
        """Parameter name → shape of one seed's tensor."""

    @abstractmethod
    def initial(self, seed: int, features: int, classes: int) -> dict[str, np.ndarray]:
        """One seed's initial parameters, float32: the same whatever runs beside it."""

    @abstractmethod
    def forward(self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour) -> Tensor:
        """Logits (S, N, C) from parameters (S, …) and input (S, N, D).

        ``dropout(h, site)`` is called once for each site and may return more rows than it was given.
        """

    def jacobians(
        self, parameters: Mapping[str, Tensor], x: Tensor, directions: Directions
    ) -> tuple[Tensor, dict[str, Tensor]] | None:
        """Logits and the Jacobian of every site by hand, or None where a model has no such shortcut.

        See ``regularizers.site_jacobians`` for the meaning; a shortcut must agree with it.
        """
        return None

    def output_layer(self, parameters: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
        """The site whose units go straight into a linear output, and its weights (S, W, C); None where there is none."""
        return None

    @abstractmethod
    def units(self, features: int, classes: int) -> int:
        """Numbers that the forward pass of one row yields, the row itself included: what a step has to hold."""

    def parameter_count(self, features: int, classes: int) -> int:
        """Trainable numbers of one seed's network."""
        return sum(int(np.prod(shape)) for shape in self.shapes(features, classes).values())
