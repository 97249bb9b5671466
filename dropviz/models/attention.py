"""The parts of causal attention, written out: torch's fused attention has no second derivative.

Shapes: T tokens of a segment, K keys: what a segment remembers, then its own tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 10_000.0  # wavelength of a position's slowest number, over 2π (Vaswani et al. 2017, section 3.5)


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """The sines, then the cosines of positions (T,) at frequencies from 1 to almost 1/10,000: (T, width), of their type."""
    import torch

    frequencies = LONGEST ** -(
        torch.arange(0, width, 2, dtype=positions.dtype, device=positions.device) / width
    )
    angles = positions.unsqueeze(-1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :width]


def in_heads(h: Tensor, heads: int) -> Tensor:
    """(…, T, D) → (…, heads, T, D / heads)."""
    return h.unflatten(-1, (heads, -1)).transpose(-2, -3)


def visible(tokens: int, keys: int, missing: int, like: Tensor) -> Tensor:
    """What is added to scores (T, K): −∞ at later tokens and at the first ``missing`` keys, where nothing is remembered yet."""
    import torch

    scores = torch.full((tokens, keys), -torch.inf, dtype=like.dtype, device=like.device)
    scores = scores.triu(keys - tokens + 1)
    scores[:, :missing] = -torch.inf
    return scores


def by_distance(scores: Tensor) -> Tensor:
    """Scores of tokens at the distances K − 1, …, 0 → at their keys: (…, T, K).

    From token i back to key j it is K − T + i − j, so row i moves to the left by T − 1 − i: all rows at once, read anew
    at another length (Dai et al. 2019, appendix B). What stands at later keys then means nothing.
    """
    from torch.nn import functional

    *before, tokens, keys = scores.shape
    padded = functional.pad(scores, (1, 0)).view(*before, keys + 1, tokens)
    return padded[..., 1:, :].reshape(scores.shape)
