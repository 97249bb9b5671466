"""Multiplicative Gaussian noise of the variance that dropout has: the same R_approx from another distribution."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dropviz.strategies.strategy import Strategy

if TYPE_CHECKING:
    from dropviz.masks import RandomNumbers
    from dropviz.regularizers import LossTerms, Network, Surrogate


@dataclass(frozen=True, kw_only=True)
class Gaussian(Strategy):
    """∇ℓ_B(ε) with ε normal of mean 0 and variance p / (1 − p) (Srivastava et al. 2014, section 10)."""

    pattern: ClassVar[str] = "gaussian"
    examples: ClassVar[tuple[str, ...]] = ("gaussian",)
    place: ClassVar[int] = 60
    name: ClassVar[str] = "gaussian"

    @classmethod
    def from_match(cls, match: re.Match[str]) -> Gaussian:
        """There is only one such arm."""
        return cls()

    @property
    def replicas(self) -> int:
        """One draw of ε."""
        return 1

    def objective(self, network: Network, draws: RandomNumbers, surrogate: Surrogate) -> LossTerms:
        """One forward pass."""
        from dropviz.regularizers import gaussian_loss

        return gaussian_loss(network, draws)

    def noise_factor(self) -> float:
        """That of one mask: the variance is the same."""
        return 1.0
