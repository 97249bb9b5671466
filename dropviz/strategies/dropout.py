"""Dropout with k masks a step, and the control experiments that give its lost noise back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dropviz.choices import SpecError, shown
from dropviz.strategies.strategy import Strategy, strategy

if TYPE_CHECKING:
    from dropviz.masks import RandomNumbers
    from dropviz.regularizers import LossTerms, Network, Surrogate

MOST_MASKS = 256


@dataclass(frozen=True, kw_only=True)
class Dropout(Strategy):
    """The mean loss over k masks, optionally with noise (Wei et al. 2020, sections 3 and 4).

    k masks keep the explicit effect and 1/k of the covariance of the gradient noise; the noise adds the missing 1 − 1/k:
    mask noise with two further masks, so that the covariance of one mask is restored at every k, analytic noise by
    formula.
    """

    pattern: ClassVar[str] = r"dropout(-(?P<k>\d+))?(\+(?P<noise>mask|analytic)-noise)?"
    examples: ClassVar[tuple[str, ...]] = (
        "dropout",
        "dropout-8",
        "dropout-8+mask-noise",
        "dropout-8+analytic-noise",
    )
    place: ClassVar[int] = 20

    k: int = 1
    noise: str | None = None

    @classmethod
    def from_match(cls, match: re.Match[str]) -> Dropout:
        """Read k and the noise; ``dropout-1`` is ``dropout``, whose noise has nothing missing."""
        digits = match["k"] or "1"
        k = int(digits) if len(digits) <= len(str(MOST_MASKS)) else MOST_MASKS + 1
        if not 1 <= k <= MOST_MASKS:
            raise SpecError(
                f"{shown(match[0])} asks for {shown(digits)} masks a step: choose 1 to {MOST_MASKS}."
            )
        if k == 1 and match["noise"]:
            raise SpecError(f"{match[0]!r} adds nothing, as one mask lacks no noise: choose k of 2 or more.")
        return cls(k=k, noise=match["noise"])

    @property
    def name(self) -> str:
        """``dropout``, ``dropout-8``, ``dropout-8+mask-noise`` or ``dropout-8+analytic-noise``."""
        return (
            "dropout" + (f"-{self.k}" if self.k > 1 else "") + (f"+{self.noise}-noise" if self.noise else "")
        )

    @property
    def replicas(self) -> int:
        """k masks, and two more for mask noise."""
        return self.k + (2 if self.noise == "mask" else 0)

    @property
    def second_order(self) -> bool:
        """With analytic noise."""
        return self.noise == "analytic"

    def objective(self, network: Network, draws: RandomNumbers, surrogate: Surrogate) -> LossTerms:
        """The mean over k masked losses, plus the noise term; one forward pass over all replicas."""
        from dropviz.regularizers import dropout_loss

        return dropout_loss(
            network,
            draws,
            k=self.k,
            mask_noise=self.noise == "mask",
            analytic_noise=self.noise == "analytic",
        )

    def noise_factor(self) -> float:
        """1/k, or 1 where mask noise restores it; what analytic noise adds is none of masks."""
        return 1.0 if self.noise == "mask" else 1 / self.k


def largest_k(arms: Iterable[str]) -> int | None:
    """The largest k of the plain dropout-k arms among these: the one that the explicit effect is read from."""
    found = [strategy(arm) for arm in arms]
    return max(
        (one.k for one in found if isinstance(one, Dropout) and one.k > 1 and not one.noise),
        default=None,
    )
