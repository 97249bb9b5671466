"""SGD, Adam and AdamW for stacked parameters: a few fused calls a step, and a state that is plainly there to be saved.

With them the schedules of the learning rate, and clipping for each seed alone. ``torch`` gives the same numbers (the
tests compare them); for the small networks here the bookkeeping of ``torch.optim`` costs a fifth of a step, see
docs/decisions/0003-optimizers.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sin, sqrt
from typing import Protocol

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8  # Adam's, as Kingma & Ba 2015 propose


class Optimizer(Protocol):
    """Moves parameters along gradients; ``state`` is what it remembers, by name, a tensor a parameter."""

    state: dict[str, list[Tensor]]

    def step(self, gradients: Sequence[Tensor], count: int, factor: float = 1.0) -> None:
        """Update number ``count``, from 1, with ``factor`` times the learning rate; in place."""
        ...


class Schedule(Protocol):
    """How the learning rate goes over a run; ``experiment.TrainChoices`` says so."""

    @property
    def steps(self) -> int:
        """Updates of the run."""
        ...

    @property
    def schedule(self) -> str:
        """``constant``, ``linear`` or ``cosine``."""
        ...

    @property
    def warmup(self) -> int:
        """Updates over which the rate rises: fewer than ``steps``."""
        ...


def rate_factor(choices: Schedule, step: int) -> float:
    """What the learning rate is multiplied by in the update that follows ``step`` earlier ones, of 0 ≤ step ≤ steps.

    (step + 1) / warmup while it rises; then, of the share r of the other updates that is left: constant 1, linear r,
    cosine (1 − cos πr) / 2 (Loshchilov & Hutter 2017). It is 0 when no update is left, so none is without effect.
    """
    if step < choices.warmup:
        return (step + 1) / choices.warmup
    if choices.schedule == "constant":
        return 1.0
    left = (choices.steps - step) / (choices.steps - choices.warmup)
    return left if choices.schedule == "linear" else sin(pi / 2 * left) ** 2


def clip(gradients: Sequence[Tensor], largest: float) -> tuple[list[Tensor], Tensor]:
    """g ← g · min(1, largest / (‖g‖ + 1e-6)) for each seed's gradient g over all tensors (Pascanu et al. 2013).

    As ``torch.nn.utils.clip_grad_norm_`` does it for one network. Also returns in which seeds that changed g: (S,).
    """
    norms = [torch.linalg.vector_norm(gradient.reshape(len(gradient), -1), dim=1) for gradient in gradients]
    factor = (largest / (torch.linalg.vector_norm(torch.stack(norms), dim=0) + 1e-6)).clamp(max=1)
    clipped = [gradient * factor.view(-1, *[1] * (gradient.ndim - 1)) for gradient in gradients]
    return clipped, factor < 1


class Sgd:
    """w ← w − lr · b with b ← momentum · b + g + decay · w.

    Args:
        parameters: Tensors to move.
        learning_rate: lr.
        momentum: Weight of the past; 0 keeps no state.
        weight_decay: Strength of the ℓ2 term.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        *,
        learning_rate: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        self.parameters = _numbers(parameters)
        self.learning_rate, self.momentum, self.weight_decay = learning_rate, momentum, weight_decay
        self.state = {"momentum": _zeros(self.parameters)} if momentum else {}

    def step(self, gradients: Sequence[Tensor], count: int, factor: float = 1.0) -> None:
        """One update; ``count`` plays no part."""
        direction = _decayed(gradients, self.parameters, self.weight_decay)
        if self.momentum:
            torch._foreach_mul_(self.state["momentum"], self.momentum)
            torch._foreach_add_(self.state["momentum"], direction)
            direction = self.state["momentum"]
        torch._foreach_add_(self.parameters, direction, alpha=-self.learning_rate * factor)


class Adam:
    """w ← w − lr · m̂ / (√v̂ + 1e-8) (Kingma & Ba 2015), with an ℓ2 term in the gradient."""

    def __init__(
        self, parameters: Sequence[Tensor], *, learning_rate: float, weight_decay: float = 0.0
    ) -> None:
        self.parameters = _numbers(parameters)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.state = {"mean": _zeros(self.parameters), "square": _zeros(self.parameters)}

    def step(self, gradients: Sequence[Tensor], count: int, factor: float = 1.0) -> None:
        """One update; ``count`` corrects the bias of the first ones."""
        self._move(_decayed(gradients, self.parameters, self.weight_decay), count, factor)

    def _move(self, direction: list[Tensor], count: int, factor: float) -> None:
        mean, square = self.state["mean"], self.state["square"]
        torch._foreach_lerp_(mean, direction, 1 - BETAS[0])
        torch._foreach_mul_(square, BETAS[1])
        torch._foreach_addcmul_(square, direction, direction, value=1 - BETAS[1])
        scale = torch._foreach_sqrt(square)
        torch._foreach_div_(scale, sqrt(1 - BETAS[1] ** count))
        torch._foreach_add_(scale, EPSILON)
        torch._foreach_addcdiv_(
            self.parameters, mean, scale, value=-self.learning_rate * factor / (1 - BETAS[0] ** count)
        )


class AdamW(Adam):
    """w ← w − lr · (decay · w + m̂ / (√v̂ + 1e-8)): the decay stays out of m and v (Loshchilov & Hutter 2019)."""

    def step(self, gradients: Sequence[Tensor], count: int, factor: float = 1.0) -> None:
        """One update; ``count`` corrects the bias of the first ones."""
        if self.weight_decay:
            torch._foreach_mul_(self.parameters, 1 - self.learning_rate * factor * self.weight_decay)
        self._move(list(gradients), count, factor)


def _numbers(parameters: Sequence[Tensor]) -> list[Tensor]:
    """The same memory without a record of derivatives, so that a step needs no ``torch.no_grad``, which takes its time."""
    return [parameter.detach() for parameter in parameters]


def _zeros(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(parameter) for parameter in parameters]


def _decayed(gradients: Sequence[Tensor], parameters: Sequence[Tensor], weight_decay: float) -> list[Tensor]:
    if not weight_decay:
        return list(gradients)
    return list(torch._foreach_add(list(gradients), list(parameters), alpha=weight_decay))
