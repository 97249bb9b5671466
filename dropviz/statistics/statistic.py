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
        outputs: C of the logits.
        parameters: Stacked parameters (S, …), to be read only.
        probe: The probe as a network: the first training examples of each seed's split, or tokens.
        batches: The same, cut into networks of the minibatch's size; of a text one of them.
        draws: ``draws(purpose, network)``: random numbers of the statistic's own for that network, at this step.
        surrogate: The choices of the analytic arms.
        masks: Mask draws for Monte Carlo.
        rows: Rows of logits of a training step; ``batches`` have fewer where the probe is smaller.
        memory: What a statistic wants to remember until the next moment; saved with checkpoints.
    """

    step: int
    strategy: Strategy
    outputs: int
    parameters: list[Tensor]
    probe: Network
    batches: list[Network]
    draws: Callable[[str, Network], Draws]
    surrogate: Surrogate
    masks: int
    rows: int
    memory: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A name, the metrics that it yields, and the function that measures them: metric → (S,)."""

    name: str
    metrics: tuple[str, ...]
    measure: Callable[[Moment], dict[str, Tensor]]
