"""The paper's ablations of the explicit regularizer: what becomes of it without the right output Hessian."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dropviz.strategies.strategy import Strategy
from dropviz.task import Task

if TYPE_CHECKING:
    from dropviz.masks import RandomNumbers
    from dropviz.regularizers import LossTerms, Network, Surrogate


@dataclass(frozen=True, kw_only=True)
class Ablation(Strategy):
    """∇(ℓ_B(0) + λ ½ Σ v ‖·‖²) with another matrix in place of H_out (Wei et al. 2020, section 5).

    ``identity``: I / C. ``loss-jacobian``: ∇ℓ∇ℓᵀ at the true label. ``argmax``: the same at the most likely label.
    """

    pattern: ClassVar[str] = r"explicit-(?P<instead>identity|loss-jacobian|argmax)"
    examples: ClassVar[tuple[str, ...]] = ("explicit-identity", "explicit-loss-jacobian", "explicit-argmax")
    place: ClassVar[int] = 40

    instead: str

    @classmethod
    def from_match(cls, match: re.Match[str]) -> Ablation:
        """The name says what stands in for H_out."""
        return cls(instead=match["instead"])

    @property
    def name(self) -> str:
        """``explicit-identity``, ``explicit-loss-jacobian`` or ``explicit-argmax``."""
        return f"explicit-{self.instead}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The strength; and an estimator where there is a trace to estimate."""
        return ("explicit", "estimator", "samples") if self.instead == "identity" else ("explicit",)

    @property
    def penalized(self) -> bool:
        """By what stands in for R."""
        return True

    @property
    def second_order(self) -> bool:
        """Always."""
        return True

    def unfit(self, task: Task) -> str:
        """Only classes and tokens can be likely."""
        if self.instead == "argmax" and task.kind == "regression":
            return "a number to predict has no most likely label, so leave this arm out."
        return ""

    def objective(self, network: Network, draws: RandomNumbers, surrogate: Surrogate) -> LossTerms:
        """One differentiable backward pass; of the identity what the estimator takes."""
        from dropviz.losses import IdentityHessian
        from dropviz.regularizers import surrogate_loss

        hessian_of = IdentityHessian(network.loss) if self.instead == "identity" else None
        labels = {"loss-jacobian": "true_label", "argmax": "likeliest_label"}
        return surrogate_loss(
            network,
            draws,
            surrogate,
            explicit=surrogate.explicit,
            implicit=0.0,
            hessian_of=hessian_of,
            ablation=labels.get(self.instead),  # type: ignore[arg-type]
        )
