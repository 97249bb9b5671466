"""Normalization: over the units of a layer, over groups of channels, or by averages that run along.

Shapes: S seeds, B examples, D units, C channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_VARIANCE = 1e-5  # is added before a root, as in torch


def normalized(h: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """Layer normalization (Ba et al. 2016) of h (S, …, D), with gain and shift (S, 1, D)."""
    from dropviz.kernels import standardized

    one = (len(h), *[1] * (h.ndim - 2), -1)
    return standardized(h, (-1,), SMALLEST_VARIANCE) * gain.view(one) + shift.view(one)


def groups_of(channels: int, most: int = 4) -> int:
    """Into how many groups channels are cut: so many at most, of equal size, with two channels or more."""
    fitting = [count for count in range(2, most + 1) if channels % count == 0 and channels >= 2 * count]
    return max(fitting, default=1)


def group_normalized(h: Tensor, gain: Tensor, shift: Tensor, groups: int) -> Tensor:
    """Group normalization (Wu & He 2018) of images (S, B, C, height, width), with gain and shift (S, C)."""
    from dropviz.kernels import standardized

    found = standardized(h.unflatten(2, (groups, -1)), (-3, -2, -1), SMALLEST_VARIANCE).flatten(2, 3)
    return found * _by_channel(gain) + _by_channel(shift)


def running_normalized(h: Tensor, gain: Tensor, shift: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Images (S, B, C, height, width) by a mean and a variance from elsewhere (S, C), with gain and shift (S, C).

    Batch normalization as it evaluates (Ioffe & Szegedy 2015): no example has a part in another's logits.
    """
    scale = gain * (variance + SMALLEST_VARIANCE).rsqrt()
    return h * _by_channel(scale) + _by_channel(shift - mean * scale)


def followed(mean: Tensor, variance: Tensor, h: Tensor, momentum: float = 0.1) -> tuple[Tensor, Tensor]:
    """Mean and variance (S, C) moved by ``momentum`` towards those of each channel of images (S, B, C, height, width)."""
    import torch

    h = h.detach()
    spread, middle = torch.var_mean(h, (1, 3, 4), correction=0)
    numbers = h[:, :, 0].numel() // len(h)
    spread = spread * (numbers / max(1, numbers - 1))  # unbiased
    return mean.lerp(middle, momentum), variance.lerp(spread, momentum)


def _by_channel(values: Tensor) -> Tensor:
    """(S, C) → (S, 1, C, 1, 1)."""
    return values[:, None, :, None, None]
