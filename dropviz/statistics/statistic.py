"""What a statistic is, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import Draws
    from dropviz.regularizers import Network, Surrogate
    from dropviz.strategies import Strategy


@dataclass(kw_only=True)
class Moment:
    """One moment of a run, as a statistic sees it.

    Attributes:
        step: Updates done.
        strategy: The arm.
        parameters: Stacked parameters (S, …), to be read only.
        probe: The probe as a network: B′ training examples, the first of each seed's split.
        batches: The probe again, cut into networks of the minibatch's size.
        draws: ``draws(purpose, rows)``: random numbers of the statistic's own, at this step.
        surrogate: The choices of the analytic arms.
        masks: Mask draws for Monte Carlo.
        batch_size: Rows of a training step's minibatch; ``batches`` have fewer where the probe is smaller.
        memory: What a statistic wants to remember until the next moment; saved with checkpoints.
    """

    step: int
    strategy: Strategy
    parameters: list[Tensor]
    probe: Network
    batches: list[Network]
    draws: Callable[[str, int], Draws]
    surrogate: Surrogate
    masks: int
    batch_size: int
    memory: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A name, the metrics that it yields, and the function that measures them: metric → (S,)."""

    name: str
    metrics: tuple[str, ...]
    measure: Callable[[Moment], dict[str, Tensor]]
