"""Weight decay, the plainest of explicit regularizers: what R is compared with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dropviz.strategies.strategy import Strategy

if TYPE_CHECKING:
    from dropviz.masks import RandomNumbers
    from dropviz.regularizers import LossTerms, Network, Surrogate


@dataclass(frozen=True, kw_only=True)
class L2(Strategy):
    """∇(ℓ_B(0) + ½ s ‖W‖²) over all parameters."""

    pattern: ClassVar[str] = "l2"
    examples: ClassVar[tuple[str, ...]] = ("l2",)
    place: ClassVar[int] = 70
    name: ClassVar[str] = "l2"

    @classmethod
    def from_match(cls, match: re.Match[str]) -> L2:
        """There is only one such arm."""
        return cls()

    @property
    def choices(self) -> tuple[str, ...]:
        """Its strength s."""
        return ("l2",)

    @property
    def penalized(self) -> bool:
        """By the sum of squares."""
        return True

    def objective(self, network: Network, draws: RandomNumbers, surrogate: Surrogate) -> LossTerms:
        """One forward pass."""
        from dropviz.regularizers import l2_loss

        return l2_loss(network, surrogate.l2)
