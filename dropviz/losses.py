"""Losses at the output: value, gradient and Hessian in the logits, in closed form.

The Hessian H_out of each loss here does not depend on the target, and enters every formula by a factor F with FFᵀ = H_out.

Shapes: z logits (S seeds, N rows, C outputs); y labels (S, N) or targets (S, N, C); K columns of F; W units of a site.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from math import log
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import grad
from torch.nn import functional

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
                f"y has the shape {_shape(y)}, but logits {tuple(z.shape)} need one target a row: begin it with"
                f" {tuple(z.shape[:-1])}."
            )
        own = y.shape[z.ndim - 1 :] if y.shape[: z.ndim - 1] == z.shape[:-1] else y.shape[1:]
        y = y.to(z.device).reshape(1, rows, *own)
        if not own and not y.is_floating_point():
            return y, _counted(y.flatten(), ignored)
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

    def directions(self, outputs: int) -> Tensor:
        """Combinations of the logits that carry all of H_out: (K, C)."""
        return torch.eye(outputs)

    def trace(self, z: Tensor, jacobian: Tensor) -> Tensor:
        """tr(Jᵀ H_out J) of each row from the Jacobian of ``directions`` (S, N, K, W): (S, N)."""
        return (self.factor(z).transpose(-1, -2) @ jacobian).square().sum((-1, -2))

    def at_output(self, z: Tensor, weight: Tensor) -> Tensor:
        """(A H_out Aᵀ)_jj of each row for a linear output z = hA + b with A (S, W, C): (S, N, W)."""
        return (weight.unsqueeze(1) @ self.factor(z)).square().sum(-1)

    def sample(self, z: Tensor, draws: OutputNumbers) -> Tensor:
        """Targets drawn from the model, whose squared gradient has the mean H_out (Fisher's identity).

        Raises:
            ValueError: The loss belongs to no distribution that is known.
        """
        raise ValueError(
            f"The loss {self.name} has no labels to draw: choose another estimator than sampled_label."
        )


class CrossEntropy(Loss):
    """Softmax cross-entropy, −log p(y); H_out = diag(p) − ppᵀ."""

    name = "cross_entropy"

    def targets(self, z: Tensor, y: Tensor, ignored: int) -> tuple[Tensor, Tensor | None]:
        """Class numbers, in the shape of the logits without their last axis or flat."""
        rows, classes = tuple(z.shape[:-1]), z.shape[-1]
        if not isinstance(y, Tensor) or tuple(y.shape) not in (rows, (z.shape[:-1].numel(),)):
            raise ValueError(
                f"y has the shape {_shape(y)}, but logits {tuple(z.shape)} need one label a row: give it the shape"
                f" {rows}."
            )
        if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise ValueError(f"y is of {y.dtype}, but labels are class numbers: use y.long().")
        y = y.reshape(-1).to(z.device, torch.long)
        if bool(((y >= 0) & (y < classes) & (y != ignored)).all()):
            return y.reshape(1, -1), None
        counted = _counted(y, ignored)
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
        """√p ⊙ u − p (√pᵀu) for signs u; √p is exp(½ log p), whose slope stays finite where p underflows."""
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

    def directions(self, outputs: int) -> Tensor:
        """The C − 1 differences to the last class: H_out has the constant vector in its null space."""
        differences = torch.eye(outputs)[:-1]
        differences[:, -1] = -1
        return differences

    def trace(self, z: Tensor, jacobian: Tensor) -> Tensor:
        """Σ_c p_c ‖J_c‖² − ‖Σ_c p_c J_c‖², over the differences to the last class."""
        p = z.softmax(-1)[..., :-1]
        squares = jacobian.square().sum(-1)
        mean = p.unsqueeze(-2) @ jacobian
        return (p * squares).sum(-1) - mean.square().sum((-1, -2))

    def at_output(self, z: Tensor, weight: Tensor) -> Tensor:
        """(p·A²)_j − (p·A)_j²: the variance of unit j's weights under the softmax."""
        p = z.softmax(-1)
        across = weight.transpose(-1, -2)
        return p @ across.square() - (p @ across).square()

    def sample(self, z: Tensor, draws: OutputNumbers) -> Tensor:
        """A label a row, drawn from the softmax."""
        p = z.detach().softmax(-1).double()
        return (p.cumsum(-1) < draws.uniforms(1)).sum(-1).clamp_(max=z.shape[-1] - 1)


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
                f"y has the shape {_shape(y)}, but {self.name} needs a target for each output: give it the shape"
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

    def trace(self, z: Tensor, jacobian: Tensor) -> Tensor:
        """Σ_c curvature_c ‖J_c‖²."""
        return (self._root(z).unsqueeze(-1) * jacobian).square().sum((-1, -2))

    def at_output(self, z: Tensor, weight: Tensor) -> Tensor:
        """Σ_c curvature_c A_jc²."""
        return self._root(z).square() @ weight.transpose(-1, -2).square()

    def _root(self, z: Tensor) -> Tensor:
        curvature = torch.as_tensor(self.log_curvature(z), dtype=z.dtype, device=z.device)
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


class OwnLoss(Loss):
    """A caller's object: ``value(z, y)`` gives ℓ of each row, ``factor(z)`` F with FFᵀ = H_out, for z (1, N, C)."""

    def __init__(self, given: Any) -> None:
        self.name = type(given).__name__
        self.given = given

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """What the object says, in the shape of the rows."""
        return self._checked("value", self.given.value(z, y), z, z.shape[:-1])

    def factor(self, z: Tensor) -> Tensor:
        """What the object says."""
        found = self.given.factor(z)
        columns = found.shape[-1:] if isinstance(found, Tensor) else (0,)
        return self._checked("factor", found, z, (*z.shape, *columns))

    def _checked(self, method: str, found: Any, z: Tensor, shape: tuple[int, ...]) -> Tensor:
        if not isinstance(found, Tensor) or tuple(found.shape) != tuple(shape):
            wanted = tuple(shape) if method == "value" else f"{tuple(z.shape)[:-1]} + (outputs, columns)"
            raise ValueError(
                f"{self.name}.{method} gave {_shape(found)} for logits {tuple(z.shape)}: it has to be {wanted}."
            )
        return found


cross_entropy = CrossEntropy()
half_squared_error = HalfSquaredError()
binary_cross_entropy = BinaryCrossEntropy()
LOSSES: dict[str, Loss] = {
    loss.name: loss for loss in (cross_entropy, half_squared_error, binary_cross_entropy)
}


def read_loss(loss: Any) -> Loss:
    """A loss by its name, or as an object with ``value(z, y)`` and ``factor(z)``.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]
    if all(callable(getattr(loss, method, None)) for method in ("value", "factor")):
        return OwnLoss(loss)
    given = repr(loss) if isinstance(loss, str) else type(loss).__name__
    raise ValueError(
        f"loss = {given} has no known Hessian in the logits: choose {', '.join(LOSSES)}, or give an object with"
        " value(z, y), the loss of each row, and factor(z), F with FFᵀ = that Hessian."
    )


def _counted(labels: Tensor, ignored: int) -> Tensor | None:
    """Which rows count, None for all.

    Raises:
        ValueError: None does.
    """
    counted = labels != ignored
    if not bool(counted.any()):
        raise ValueError(f"All of y is {ignored}, the label of rows that do not count: give one row a class.")
    return None if bool(counted.all()) else counted


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
