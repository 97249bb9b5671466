"""Losses at the output: value, gradient and Hessian in the logits, in closed form.

The Hessian H_out of each loss here does not depend on the target, and enters every formula by a factor F with FFᵀ = H_out.

Shapes: z logits (S seeds, N rows, C outputs); y labels (S, N) or targets (S, N, C); K columns of F; W units of a site.
"""

from dropviz.losses.cross_entropy import cross_entropy
from dropviz.losses.loss import IGNORED, Loss, OutputNumbers
from dropviz.losses.reading import LOSSES, OwnLoss, read_loss
from dropviz.losses.separable import IdentityHessian, binary_cross_entropy, half_squared_error

__all__ = [
    "IGNORED",
    "LOSSES",
    "IdentityHessian",
    "Loss",
    "OutputNumbers",
    "OwnLoss",
    "binary_cross_entropy",
    "cross_entropy",
    "half_squared_error",
    "read_loss",
]
