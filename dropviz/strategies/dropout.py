"""Dropout with k masks a step, and the control experiment that gives its lost noise back."""

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
    """The mean loss over k masks, optionally with mask noise (Wei et al. 2020, sections 3 and 4).

    k masks keep the explicit effect and 1/k of the covariance of the gradient noise; mask noise adds the
    missing 1 − 1/k with two further masks, so that the covariance of one mask is restored at every k.
    """

    pattern: ClassVar[str] = r"dropout(-(?P<k>\d+))?(?P<noise>\+mask-noise)?"
    examples: ClassVar[tuple[str, ...]] = ("dropout", "dropout-8", "dropout-8+mask-noise")

    k: int = 1
    mask_noise: bool = False

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
        return cls(k=k, mask_noise=bool(match["noise"]))

    @property
    def name(self) -> str:
        """``dropout``, ``dropout-8`` or ``dropout-8+mask-noise``."""
        return "dropout" + (f"-{self.k}" if self.k > 1 else "") + ("+mask-noise" if self.mask_noise else "")

    @property
    def replicas(self) -> int:
        """k masks, and two more for the noise."""
        return self.k + (2 if self.mask_noise else 0)

    def objective(self, network: Network, draws: RandomNumbers, surrogate: Surrogate) -> LossTerms:
        """The mean over k masked losses, plus the noise term; one forward pass over all replicas."""
        from dropviz.regularizers import dropout_loss

        return dropout_loss(network, draws, k=self.k, mask_noise=self.mask_noise)

    def noise_factor(self) -> float:
        """1/k, or 1 where mask noise restores it."""
        return 1.0 if self.mask_noise else 1 / self.k


def largest_k(arms: Iterable[str]) -> int | None:
    """The largest k of the plain dropout-k arms among these: the one that the explicit effect is read from."""
    found = [strategy(arm) for arm in arms]
    return max(
        (one.k for one in found if isinstance(one, Dropout) and one.k > 1 and not one.mask_noise),
        default=None,
    )
