"""Dropout on the network linearized in mask space: both effects to second order, from one mask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dropviz.strategies.strategy import Strategy

if TYPE_CHECKING:
    from dropviz.masks import RandomNumbers
    from dropviz.regularizers import LossTerms, Network, Surrogate


@dataclass(frozen=True, kw_only=True)
class Linearized(Strategy):
    """∇ℓ_B(z(0) + Jε) with a dropout mask ε: J is the Jacobian of the logits in ε."""

    pattern: ClassVar[str] = "linearized"
    examples: ClassVar[tuple[str, ...]] = ("linearized",)
    place: ClassVar[int] = 50
    name: ClassVar[str] = "linearized"

    @classmethod
    def from_match(cls, match: re.Match[str]) -> Linearized:
        """There is only one such arm."""
        return cls()

    @property
    def second_order(self) -> bool:
        """The tangent is one."""
        return True

    def objective(self, network: Network, draws: RandomNumbers, surrogate: Surrogate) -> LossTerms:
        """Two differentiable backward passes."""
        from dropviz.regularizers import linearized_loss

        return linearized_loss(network, draws)

    def noise_factor(self) -> float:
        """That of one mask, to first order."""
        return 1.0
