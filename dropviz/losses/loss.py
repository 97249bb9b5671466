"""What a loss is: its value and a factor of its Hessian in the logits; the rest follows from these two."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import grad

IGNORED = -100  # torch's own default for labels that do not count


class OutputNumbers(Protocol):
    """Random numbers in the space of the logits."""

    def output_signs(self, count: int) -> Tensor:
        """±1: (S, N, count)."""
        ...

    def uniforms(self, count: int) -> Tensor:
        """In (0, 1): (S, N, count)."""
        ...


class Loss(ABC):
    """ℓ(z, y) of each row, summed over its outputs.

    ``value`` and ``factor`` define a loss; the other methods follow from them, and are overridden where a closed form is
    faster.
    """

    name: str

    @abstractmethod
    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """ℓ of each row: (S, N)."""

    @abstractmethod
    def factor(self, z: Tensor) -> Tensor:
        """F with FFᵀ = H_out of each row: (S, N, C, K), differentiable in z."""

    def targets(self, z: Tensor, y: Tensor, ignored: int) -> tuple[Tensor, Tensor | None]:
        """What a caller gave as y, checked: (1, N, …), and which rows count (N,), None for all.

        Raises:
            ValueError: y does not go with the logits z (…, C).
        """
        rows = z.shape[:-1].numel()
        if not isinstance(y, Tensor) or (y.shape[: z.ndim - 1] != z.shape[:-1] and y.shape[:1] != (rows,)):
            raise ValueError(
                f"y has the shape {shape_of(y)}, but logits {tuple(z.shape)} need one target a row: begin it with"
                f" {tuple(z.shape[:-1])}."
            )
        own = y.shape[z.ndim - 1 :] if y.shape[: z.ndim - 1] == z.shape[:-1] else y.shape[1:]
        y = y.to(z.device).reshape(1, rows, *own)
        if not own and not y.is_floating_point():
            return y, counted_rows(y.flatten(), ignored)
        if ignored != IGNORED:
            raise ValueError(
                f"ignore_index = {ignored} is for class labels, one whole number a row, and y has the shape"
                f" {tuple(y.shape[1:])} and is of {y.dtype}: leave rows out by weight=."
            )
        return y, None

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        """∂ℓ/∂z of each row: (S, N, C), differentiable in z."""
        with torch.enable_grad():
            at = z if z.requires_grad else z.detach().requires_grad_()
            return grad(self.value(at, y).sum(), at, create_graph=z.requires_grad)[0]

    def root(self, z: Tensor, draws: OutputNumbers) -> Tensor:
        """A random w with E wwᵀ = H_out: (S, N, C), F times random signs."""
        factor = self.factor(z)
        return (factor @ draws.output_signs(factor.shape[-1]).to(z.dtype).unsqueeze(-1)).squeeze(-1)

    def columns(self, z: Tensor) -> Iterator[Tensor]:
        """The columns of F, one after the other: (S, N, C) each."""
        yield from self.factor(z).unbind(-1)

    def quadratic(self, z: Tensor, t: Tensor) -> Tensor:
        """tᵀ H_out t of each row, for t (S, N, C): (S, N)."""
        return (self.factor(z).transpose(-1, -2) @ t.unsqueeze(-1)).square().sum((-1, -2))

    def hessian_product(self, z: Tensor, t: Tensor) -> Tensor:
        """H_out t of each row, for t (S, N, C): (S, N, C)."""
        factor = self.factor(z)
        return (factor @ (factor.transpose(-1, -2) @ t.unsqueeze(-1))).squeeze(-1)

    def directions(self, z: Tensor) -> Tensor:
        """Combinations of logits z (…, C) that carry all of H_out: (K, C), of their type and device."""
        return torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)

    def curvature(self, z: Tensor, slopes: Tensor) -> Tensor:
        """∂²ℓ/∂h_j² of each row and each unit j that moves the logits linearly: (sᵀ H_out s)_jj, (S, N, W).

        Args:
            z: Where H_out is taken.
            slopes: How the logits, or ``directions`` of them, move with the units: (S, N, K, W), of size 1 along N where
                all rows have the same, as before a linear output.
        """
        return (self.factor(z).transpose(-1, -2) @ slopes).square().sum(-2)

    def sample(self, z: Tensor, draws: OutputNumbers) -> Tensor:
        """Targets drawn from the model, whose squared gradient has the mean H_out (Fisher's identity).

        Raises:
            ValueError: The loss belongs to no distribution that is known.
        """
        raise ValueError(
            f"The loss {self.name} has no labels to draw: choose another estimator than sampled_label."
        )


def combined(weights: Tensor, slopes: Tensor) -> Tensor:
    """Σ_k weights_k slopes_k of each row: (S, N, K) and (S, N or 1, K, W) → (S, N, W)."""
    if slopes.shape[1] == 1:
        return weights @ slopes.squeeze(1)
    return (weights.unsqueeze(-2) @ slopes).squeeze(-2)


def counted_rows(labels: Tensor, ignored: int) -> Tensor | None:
    """Which rows count, None for all.

    Raises:
        ValueError: None does.
    """
    counted = labels != ignored
    if not bool(counted.any()):
        raise ValueError(f"All of y is {ignored}, the label of rows that do not count: give one row a class.")
    return None if bool(counted.all()) else counted


def shape_of(value: Any) -> str:
    """As an error message shows it: the shape of a tensor, the type of anything else."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
