"""Layers of images (…, n, channels, height, width)."""

import torch
from torch.nn import functional


def convolved(h, kernel, bias=None):
    """Convolution with zeros around the images."""
    around = [size // 2 for size in kernel.shape[2:]]
    z = functional.conv2d(h.flatten(0, -4), kernel, bias, padding=around)
    return z.view(*h.shape[:-3], *z.shape[1:])


def max_pooled(h, window):
    """The largest number of each window."""
    z = functional.max_pool2d(h.flatten(0, -4), window)
    return z.view(*h.shape[:-3], *z.shape[1:])


def average_pooled(h, window):
    """The mean of each window."""
    z = functional.avg_pool2d(h.flatten(0, -4), window)
    return z.view(*h.shape[:-3], *z.shape[1:])


def group_norm(h, groups, gain, shift):
    """Mean 0 and variance 1 over groups of an image's channels (Wu & He 2018)."""
    h = h.unflatten(-3, (groups, -1))
    h = h - h.mean((-3, -2, -1), keepdim=True)
    h = h * (h.square().mean((-3, -2, -1), keepdim=True) + 1e-5).rsqrt()
    return h.flatten(-4, -3) * gain[:, None, None] + shift[:, None, None]


def running_norm(h, w, block, past):
    """Batch normalization (Ioffe & Szegedy 2015) by running averages, which are constants of a step.

    So no example has a part in another's logits. The first pass of a step leaves in ``past`` where the averages go.
    """
    mean, variance = w[f"mean{block}"], w[f"variance{block}"]
    axes = [axis for axis in range(h.ndim) if axis != h.ndim - 3]
    spread, middle = torch.var_mean(h.detach(), axes, correction=0)
    numbers = h.numel() // len(mean)
    past.setdefault(f"mean{block}", mean.lerp(middle, 0.1))
    past.setdefault(f"variance{block}", variance.lerp(spread * (numbers / max(1, numbers - 1)), 0.1))
    scale = w[f"gain{block}"] * (variance + 1e-5).rsqrt()
    return h * scale[:, None, None] + (w[f"shift{block}"] - mean * scale)[:, None, None]
