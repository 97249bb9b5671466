"""A loss by its name, or as a caller's own object."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dropviz.losses.cross_entropy import cross_entropy
from dropviz.losses.loss import Loss, shape_of
from dropviz.losses.separable import binary_cross_entropy, half_squared_error

LOSSES: dict[str, Loss] = {
    loss.name: loss for loss in (cross_entropy, half_squared_error, binary_cross_entropy)
}


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
                f"{self.name}.{method} gave {shape_of(found)} for logits {tuple(z.shape)}: it has to be {wanted}."
            )
        return found.to(z)


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
