"""Layers of images (…, n, channels, height, width)."""

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
