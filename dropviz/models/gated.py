"""Recurrent layers that go token by token, each on the state that the one before left, with weight drop on that way.

Shapes: S seeds, B streams (or R·B′ of R replicas), T tokens, I inputs and H units of a layer, G gates.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from dropviz.models.language import affine
from dropviz.models.model import Carried, dropout_field
from dropviz.models.recurrent import DEFAULT_PLACES, KINDS, Recurrent

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour


class Gated(Recurrent):
    """The LSTM and the GRU but for their equations."""

    dropout_at: tuple[str, ...] = dropout_field(
        DEFAULT_PLACES, KINDS | {"recurrent": "the recurrent weights (weight drop)"}
    )

    dropped_weights: ClassVar[str] = "recurrent"
    dropped_parameter: ClassVar[str] = "recurrent_weight"
    states: ClassVar[tuple[str, ...]]  # what is carried, h first

    def weight_shapes(self, layer: int, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        """``input_weight1`` (I, G·H) and ``recurrent_weight1`` (H, G·H)."""
        return {
            f"input_weight{layer}": (inputs, self.gates * units),
            f"recurrent_weight{layer}": (units, self.gates * units),
        }

    def layer(
        self,
        parameters: Mapping[str, Tensor],
        layer: int,
        h: Tensor,
        dropout: SiteBehaviour,
        carried: Carried,
    ) -> Tensor:
        """What comes from below for all tokens at once, then token by token."""
        import torch

        weight = dropout(parameters[f"recurrent_weight{layer}"], f"recurrent{layer}", weight=True)
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
