"""The loss at the output: its value, its gradient and its Hessian in the logits.

Softmax cross-entropy. z are logits (S seeds, N rows, C classes), y labels (S, N). Everything is exact and
costs one softmax.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    """−log p(y) of each row: (S, N)."""
    return functional.cross_entropy(z.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)


def logit_gradient(z: Tensor, y: Tensor) -> Tensor:
    """∂ℓ/∂z = p − onehot(y), each row: (S, N, C). Its sum over classes is 0."""
    return z.softmax(-1) - functional.one_hot(y, z.shape[-1]).to(z.dtype)


def root_hessian(z: Tensor, u: Tensor) -> Tensor:
    """A vector w with E wwᵀ = H_out = diag(p) − ppᵀ over signs u (S, N, C): w = √p ⊙ u − p (√pᵀu).

    √p is formed as exp(½ log p), whose slope stays finite where p underflows.
    """
    log_p = z.log_softmax(-1)
    root, p = (0.5 * log_p).exp(), log_p.exp()
    return root * u - p * (root * u).sum(-1, keepdim=True)


def hessian_trace(jacobian: Tensor, p: Tensor) -> Tensor:
    """tr(Jᵀ H_out J) of each row, (S, N), from logit differences.

    Because H_out has the constant vector in its null space, the C − 1 differences to the last class carry
    all of it: Σ_c p_c ‖J_c‖² − ‖Σ_c p_c J_c‖².

    Args:
        jacobian: Of z_c − z_C for c < C: (S, N, C − 1, W).
        p: Softmax probabilities (S, N, C).
    """
    p = p[..., :-1]
    squares = jacobian.square().sum(-1)
    mean = p.unsqueeze(-2) @ jacobian
    return (p * squares).sum(-1) - mean.square().sum((-1, -2))
