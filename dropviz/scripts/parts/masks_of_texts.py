"""Several masks at once, where each has streams of its own."""

import torch


def several_dropout_masks(step, count):
    """So many masks at every site: for the streams one after the other, for a weight along a first axis."""
    joined = {site: torch.stack if site in WEIGHT_SITES else torch.cat for site in SITES}
    return {site: join([dropout_mask(site, step, i) for i in range(count)]) for site, join in joined.items()}
