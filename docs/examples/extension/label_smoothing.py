"""An arm: label smoothing, a regularizer from elsewhere to compare dropout's with (Szegedy et al. 2016)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dropviz.strategies import Strategy
from dropviz.task import Task

if TYPE_CHECKING:
    from dropviz.masks import RandomNumbers
    from dropviz.regularizers import LossTerms, Network, Surrogate

SHARE = 0.1  # of a label that is spread over all classes


@dataclass(frozen=True, kw_only=True)
class LabelSmoothing(Strategy):
    """∇(0.9 ℓ_B(0) + 0.1 the mean loss over all labels)."""

    pattern: ClassVar[str] = "label-smoothing"
    examples: ClassVar[tuple[str, ...]] = ("label-smoothing",)
    name: ClassVar[str] = "label-smoothing"

    @classmethod
    def from_match(cls, match: re.Match[str]) -> LabelSmoothing:
        """There is only one such arm."""
        return cls()

    @property
    def penalized(self) -> bool:
        """By what smoothing adds to the loss."""
        return True

    def unfit(self, task: Task) -> str:
        """Only labels can be smoothed."""
        return "numbers have no labels to smooth, so leave this arm out." if task.kind == "regression" else ""

    def objective(self, network: Network, draws: RandomNumbers, surrogate: Surrogate) -> LossTerms:
        """One forward pass; torch is imported here, not above, as the page loads this file without it."""
        from dropviz.masks import keep_all
        from dropviz.regularizers import LossTerms

        z = network.forward(keep_all)
        loss, every = network.loss.value(z, network.y), -z.log_softmax(-1).mean(-1)
        return LossTerms(data=network.mean(loss), explicit=SHARE * network.mean(every - loss))
