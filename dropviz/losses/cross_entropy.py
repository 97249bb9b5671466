"""Softmax cross-entropy."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from dropviz.losses.loss import Loss, OutputNumbers, combined, counted_rows, shape_of


class CrossEntropy(Loss):
    """Softmax cross-entropy, −log p(y); H_out = diag(p) − ppᵀ."""

    name = "cross_entropy"

    def targets(self, z: Tensor, y: Tensor, ignored: int) -> tuple[Tensor, Tensor | None]:
        """Class numbers, in the shape of the logits without their last axis or flat."""
        rows, classes = tuple(z.shape[:-1]), z.shape[-1]
        if not isinstance(y, Tensor) or tuple(y.shape) not in (rows, (z.shape[:-1].numel(),)):
            raise ValueError(
                f"y has the shape {shape_of(y)}, but logits {tuple(z.shape)} need one label a row: give it the shape"
                f" {rows}."
            )
        if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise ValueError(f"y is of {y.dtype}, but labels are class numbers: use y.long().")
        y = y.reshape(-1).to(z.device, torch.long)
        if bool(((y >= 0) & (y < classes) & (y != ignored)).all()):
            return y.reshape(1, -1), None
        counted = counted_rows(y, ignored)
        wrong = y[(y != ignored) & ((y < 0) | (y >= classes))]
        if len(wrong):
            raise ValueError(
                f"y holds the label {int(wrong[0])}, but the logits have {classes} classes: use 0 to {classes - 1}, or"
                f" {ignored} for a row that does not count."
            )
        return y.reshape(1, -1), counted

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """−log p(y) of each row: (S, N)."""
        return functional.cross_entropy(z.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        """p − onehot(y). Its sum over classes is 0."""
        return z.softmax(-1) - functional.one_hot(y, z.shape[-1]).to(z.dtype)

    def factor(self, z: Tensor) -> Tensor:
        """Columns √p_k (e_k − p)."""
        return torch.stack(list(self.columns(z)), dim=-1)

    def columns(self, z: Tensor) -> Iterator[Tensor]:
        """√p_k (e_k − p) for each class; for two classes √(p₀p₁) (1, −1), which is all."""
        log_p = z.log_softmax(-1)
        basis = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
        if z.shape[-1] == 2:
            yield (0.5 * log_p.sum(-1, keepdim=True)).exp() * (basis[0] - basis[1])
            return
        p, root = log_p.exp(), (0.5 * log_p).exp()
        for k in range(z.shape[-1]):
            yield root[..., k : k + 1] * (basis[k] - p)

    def root(self, z: Tensor, draws: OutputNumbers) -> Tensor:
        """√p ⊙ u − p (√pᵀu) for signs u; √p is exp(½ log p), whose slope stays finite where p underflows.

        For two classes the one column of F times a sign, so that wwᵀ has no noise.
        """
        if z.shape[-1] == 2:
            (column,) = self.columns(z)
            return column * draws.output_signs(1)
        log_p = z.log_softmax(-1)
        signed = (0.5 * log_p).exp() * draws.output_signs(z.shape[-1])
        return signed - log_p.exp() * signed.sum(-1, keepdim=True)

    def quadratic(self, z: Tensor, t: Tensor) -> Tensor:
        """The variance of t under the softmax."""
        p = z.softmax(-1)
        return (p * (t - (p * t).sum(-1, keepdim=True)).square()).sum(-1)

    def hessian_product(self, z: Tensor, t: Tensor) -> Tensor:
        """p ⊙ (t − pᵀt)."""
        p = z.softmax(-1)
        return p * (t - (p * t).sum(-1, keepdim=True))

    def directions(self, z: Tensor) -> Tensor:
        """The C − 1 differences to the last class: H_out has the constant vector in its null space."""
        differences = super().directions(z)[:-1]
        differences[:, -1] = -1
        return differences

    def curvature(self, z: Tensor, slopes: Tensor) -> Tensor:
        """Σ_c p_c s_c² − (Σ_c p_c s_c)²: the variance of a unit's slopes under the softmax; what is left out has the slope 0."""
        p = z.softmax(-1)[..., : slopes.shape[2]]
        # s · s and not its square, whose derivative takes two more passes over all slopes
        return combined(p, slopes * slopes) - combined(p, slopes).square()

    def sample(self, z: Tensor, draws: OutputNumbers) -> Tensor:
        """A label a row, drawn from the softmax."""
        p = z.detach().softmax(-1).double()
        return (p.cumsum(-1) < draws.uniforms(1)).sum(-1).clamp_(max=z.shape[-1] - 1)


cross_entropy = CrossEntropy()
