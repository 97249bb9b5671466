"""No dropout: the plain loss."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dropviz.strategies.strategy import Strategy

if TYPE_CHECKING:
    from dropviz.masks import RandomNumbers
    from dropviz.regularizers import LossTerms, Network, Surrogate


@dataclass(frozen=True, kw_only=True)
class NoDropout(Strategy):
    """∇ℓ_B(0): every unit stays (the authors' ``no_reg``)."""

    pattern: ClassVar[str] = "none"
    examples: ClassVar[tuple[str, ...]] = ("none",)
    place: ClassVar[int] = 10
    name: ClassVar[str] = "none"

    @classmethod
    def from_match(cls, match: re.Match[str]) -> NoDropout:
        """There is only one such arm."""
        return cls()

    def objective(self, network: Network, draws: RandomNumbers, surrogate: Surrogate) -> LossTerms:
        """The mean loss of the minibatch at ε = 0; one forward pass."""
        from dropviz.regularizers import plain_loss

        return plain_loss(network)
