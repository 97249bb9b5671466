"""Masks: 1 + ε at every dropout site, of mean 1 and variance v = p / (1 - p)."""

from math import sqrt

import torch


def variance(site):
    """v of a mask whose values are 0 and 1 / (1 - p)."""
    _, p = SITES[site]
    return p / (1 - p)


def dropout_masks(step):
    """1 + ε at every site: 0 with probability p, else 1 / (1 - p)."""
    return {site: dropout_mask(site, step, 0) for site in SITES}


def several_dropout_masks(step, count):
    """So many masks at every site, along a first axis of their own."""
    return {site: torch.stack([dropout_mask(site, step, i) for i in range(count)]) for site in SITES}


def repeated(y, count):
    """The labels of a minibatch for so many masks."""
    return y.repeat(count, *[1] * (y.ndim - 1))


def dropout_mask(site, step, index):
    """1 + ε at a site."""
    shape, p = SITES[site]
    kept = fractions(f"train/mask/{site}/{index}", shape, step) >= round(p * 2**16) - 2**15
    return kept.float() * (1 / (1 - p))


def gaussian_masks(step):
    """1 + ε at every site with ε normal, of the variance that dropout has."""
    masks = {}
    for site, (shape, _) in SITES.items():
        normal = torch.special.ndtri(uniforms(f"train/gaussian/{site}/0", shape, step))
        masks[site] = (1 + sqrt(variance(site)) * normal).float()
    return masks


def mean_of(samples):
    """The mean of several estimates."""
    return torch.stack(samples).mean()


def ones():
    """ε = 0 as something to differentiate at: a derivative in the mask 1 + ε is one in ε."""
    return {site: torch.ones(shape, requires_grad=True) for site, (shape, _) in SITES.items()}
