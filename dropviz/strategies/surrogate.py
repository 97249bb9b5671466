"""Formulas in dropout's place: the analytic explicit regularizer, the analytic implicit noise, or both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dropviz.strategies.strategy import Strategy

if TYPE_CHECKING:
    from dropviz.masks import RandomNumbers
    from dropviz.regularizers import LossTerms, Network, Surrogate


@dataclass(frozen=True, kw_only=True)
class AnalyticSurrogate(Strategy):
    """∇(ℓ_B(0) + λ R_approx) + μ ξ_approx with either part or both (Wei et al. 2020, sections 4 and 5)."""

    pattern: ClassVar[str] = r"(?P<explicit>explicit)?(?(explicit)(?P<both>\+implicit)?|implicit)"
    examples: ClassVar[tuple[str, ...]] = ("explicit", "implicit", "explicit+implicit")
    place: ClassVar[int] = 30

    explicit: bool
    implicit: bool

    @classmethod
    def from_match(cls, match: re.Match[str]) -> AnalyticSurrogate:
        """The name lists the parts."""
        explicit = match["explicit"] is not None
        return cls(explicit=explicit, implicit=not explicit or match["both"] is not None)

    @property
    def name(self) -> str:
        """``explicit``, ``implicit`` or ``explicit+implicit``."""
        return "+".join(part for part in ("explicit", "implicit") if getattr(self, part))

    @property
    def choices(self) -> tuple[str, ...]:
        """How R is estimated, and the strengths of the parts that there are."""
        found = ["estimator", "hessian", "samples", "explicit"] if self.explicit else []
        found += ["implicit"] if self.implicit else []
        found += ["shared_tangent"] if self.explicit and self.implicit else []
        return tuple(found)

    @property
    def penalized(self) -> bool:
        """With the explicit part."""
        return self.explicit

    @property
    def second_order(self) -> bool:
        """Always."""
        return True

    def objective(self, network: Network, draws: RandomNumbers, surrogate: Surrogate) -> LossTerms:
        """The loss at ε = 0, λ times the explicit term and μ times the implicit one."""
        from dropviz.regularizers import surrogate_loss

        return surrogate_loss(
            network,
            draws,
            surrogate,
            explicit=surrogate.explicit if self.explicit else 0.0,
            implicit=surrogate.implicit if self.implicit else 0.0,
        )
