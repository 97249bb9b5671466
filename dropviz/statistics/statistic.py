"""What a statistic is, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.curvature.probe import Probe
    from dropviz.masks import Draws
    from dropviz.regularizers import Network
    from dropviz.strategies import Strategy

Tier = Literal["live", "refresh"]

# Of two starts: the eigenvectors of the first run are used, and both make the spectral density.
LANCZOS_STEPS = (24, 16)


@dataclass(kw_only=True)
class Moment:
    """One moment of a run, as a statistic sees it.

    Attributes:
        step: Updates done.
        strategy: The arm that the next step follows.
        parameters: Stacked parameters (S, …), to be read only.
        layers: The layer that each of them belongs to.
        network: The probe as a network: the first training examples of each seed's split, or tokens.
        minibatches: Fixed batches of the training split, as large as a step's if there are enough examples.
        draws: ``draws(purpose, network)``: random numbers of the statistic's own for that network, at this step.
        gradients: ``gradients(purpose, masks)``: of the loss of each minibatch under so many masks, which belong to that
            purpose and step: (S, batches, masks, P).
        losses_at: ``losses_at(points)``: the loss on the probe of the first seed's network with other parameters, a vector
            each: (n, P) → (n,).
        predictions: Logits and targets of the validation split, piece by piece.
        masks: Mask draws for Monte Carlo.
        rows: Rows of logits of a training step; ``minibatches`` have fewer where the data set is small.
        memory: What a statistic wants to remember until the next moment; saved with checkpoints.
    """

    step: int
    strategy: Strategy
    parameters: list[Tensor]
    layers: Sequence[str]
    network: Network
    minibatches: list[Network]
    draws: Callable[[str, Network], Draws]
    gradients: Callable[[str, int], Tensor]
    losses_at: Callable[[Tensor], Tensor]
    predictions: Sequence[tuple[Tensor, Tensor]]
    masks: int
    rows: int
    memory: dict[str, Tensor] = field(default_factory=dict)

    @cached_property
    def probe(self) -> Probe:
        """The probe's forward pass with its graph, and what several statistics take from it; made once a moment."""
        from dropviz.curvature.probe import Probe

        draws = self.draws("probe", self.network)
        return Probe(self.network, self.parameters, draws, lanczos_steps=LANCZOS_STEPS)


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A name, and the function that measures.

    Attributes:
        name: Of the statistic.
        groups: The first parts of the names of its metrics; those of no other statistic.
        tier: ``live``: at evenly spaced moments that take a small share of the run. ``refresh``: rare and dear.
        measure: Name → one number a seed (S,), which is a metric; or an array with more axes, (S, …), or (1, …) where it is
            of the first seed alone. A metric that ends in ``_se`` is the standard error of the one that is named before it,
            ``_residual`` that of an eigenvalue.
    """

    name: str
    groups: tuple[str, ...]
    tier: Tier = "live"
    measure: Callable[[Moment], dict[str, Tensor]]
