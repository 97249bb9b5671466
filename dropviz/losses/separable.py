"""Losses that are a sum of one term an output: half squared error, binary cross-entropy, and the ablation of H_out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from math import log

import torch
from torch import Tensor
from torch.nn import functional

from dropviz.losses.loss import IGNORED, Loss, OutputNumbers, combined, shape_of


class Separable(Loss):
    """A sum of one term an output, so that H_out is diagonal."""

    @abstractmethod
    def log_curvature(self, z: Tensor) -> Tensor | float:
        """log ∂²ℓ/∂z_c² of each output: (S, N, C), or one number for all."""

    def targets(self, z: Tensor, y: Tensor, ignored: int) -> tuple[Tensor, Tensor | None]:
        """Numbers in the shape of the logits."""
        if ignored != IGNORED:
            raise ValueError(
                f"ignore_index = {ignored} is for class labels, which {self.name} has not: leave rows out by weight=."
            )
        if not isinstance(y, Tensor) or y.shape != z.shape:
            raise ValueError(
                f"y has the shape {shape_of(y)}, but {self.name} needs a target for each output: give it the shape"
                f" {tuple(z.shape)}."
            )
        if y.is_complex():
            raise ValueError(f"y is of {y.dtype}: use real numbers.")
        y = y.to(z)
        if not bool(y.isfinite().all()):
            raise ValueError(f"{int((~y.isfinite()).sum())} of {y.numel()} targets in y are not finite.")
        return y.reshape(1, -1, z.shape[-1]), None

    def factor(self, z: Tensor) -> Tensor:
        """A diagonal matrix."""
        return self._root(z).diag_embed()

    def columns(self, z: Tensor) -> Iterator[Tensor]:
        """One an output."""
        yield from (torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)[:, None, None] * self._root(z))

    def root(self, z: Tensor, draws: OutputNumbers) -> Tensor:
        """Signs times √curvature."""
        return self._root(z) * draws.output_signs(z.shape[-1])

    def quadratic(self, z: Tensor, t: Tensor) -> Tensor:
        """Σ_c curvature_c t_c²."""
        return (self._root(z) * t).square().sum(-1)

    def hessian_product(self, z: Tensor, t: Tensor) -> Tensor:
        """curvature_c t_c."""
        return self._root(z).square() * t

    def curvature(self, z: Tensor, slopes: Tensor) -> Tensor:
        """Σ_c curvature_c s_c²."""
        return combined(self._root(z).square(), slopes * slopes)

    def _root(self, z: Tensor) -> Tensor:
        curvature = self.log_curvature(z)
        curvature = curvature if isinstance(curvature, Tensor) else z.new_full((), curvature)
        return (0.5 * curvature).exp().expand_as(z)


class HalfSquaredError(Separable):
    """½ ‖z − y‖²; H_out = I."""

    name = "half_squared_error"

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Summed over the outputs: (S, N)."""
        return (z - y).square().sum(-1) / 2

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        """The residual."""
        return z - y

    def log_curvature(self, z: Tensor) -> Tensor | float:
        """Of 1."""
        return 0.0

    def sample(self, z: Tensor, draws: OutputNumbers) -> Tensor:
        """The logits plus standard normal noise."""
        return z.detach() + torch.special.ndtri(draws.uniforms(z.shape[-1])).to(z.dtype)


class BinaryCrossEntropy(Separable):
    """−y log σ(z) − (1 − y) log σ(−z) of each output; H_out = diag(σ(z) σ(−z))."""

    name = "binary_cross_entropy"

    def targets(self, z: Tensor, y: Tensor, ignored: int) -> tuple[Tensor, Tensor | None]:
        """Probabilities in the shape of the logits."""
        y, counted = super().targets(z, y, ignored)
        wrong = y[(y < 0) | (y > 1)]
        if len(wrong):
            raise ValueError(
                f"y holds {float(wrong[0]):g}, but the targets of {self.name} are probabilities: use 0 to 1."
            )
        return y, counted

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Summed over the outputs: (S, N)."""
        return functional.binary_cross_entropy_with_logits(z, y, reduction="none").sum(-1)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        """σ(z) − y."""
        return z.sigmoid() - y

    def log_curvature(self, z: Tensor) -> Tensor | float:
        """log σ(z) + log σ(−z), whose exponential has a finite slope also where it underflows."""
        return functional.logsigmoid(z) + functional.logsigmoid(-z)

    def sample(self, z: Tensor, draws: OutputNumbers) -> Tensor:
        """0 or 1 for each output."""
        return (draws.uniforms(z.shape[-1]) < z.detach().double().sigmoid()).to(z.dtype)


class IdentityHessian(Separable):
    """Another loss, of which R is to see the Hessian I / C: the paper's ablation of H_out (Wei et al. 2020, section 5)."""

    name = "identity_hessian"

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """That of the other loss."""
        return self.loss.value(z, y)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        """That of the other loss."""
        return self.loss.gradient(z, y)

    def log_curvature(self, z: Tensor) -> Tensor | float:
        """Of 1 / C."""
        return -log(z.shape[-1])


half_squared_error = HalfSquaredError()
binary_cross_entropy = BinaryCrossEntropy()
