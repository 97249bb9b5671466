"""Which rows of a module's logits may be differentiated at once: those that share no coordinate of ε."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.masks import Watch

DIGIT = 16  # blocks of rows that one pass tells apart


def passes(axes: Sequence[Tensor], z: Tensor, watch: Watch) -> tuple[Tensor, int]:
    """In which pass each row can be differentiated, so that no coordinate of ε acts on two rows of a pass: from 0, (N,).

    And how many passes there are.

    Found out, not assumed. Let the rows fall into blocks: each row by itself, or all that stand at one place of an axis of
    the logits (an example's, whichever axis that is). Scaling the blocks by numbers of their own scales the derivative in a
    coordinate by one of those numbers if it acts within one block, and in general only then. So one row of each block can
    go into a pass. Cost: a backward pass, and one for each hexadecimal digit of the number of blocks, for each kind of block.

    Args:
        axes: Where each row stands on each axis of the logits but the last: (N,) an axis.
        z: Logits (1, N, C) under ``watch``.
        watch: Views of the sites.
    """
    rows = torch.arange(z.shape[1], device=z.device)
    if _acts_within(z, watch, rows):
        return torch.zeros_like(rows), 1
    for block in axes if len(axes) > 1 else []:
        if _acts_within(z, watch, block):
            seen: dict[int, count[int]] = {}
            place = [next(seen.setdefault(of, count())) for of in block.tolist()]
            return torch.tensor(place, device=z.device), max(place) + 1
    return rows, len(rows)


def _acts_within(z: Tensor, watch: Watch, block: Tensor) -> bool:
    """Whether each coordinate of ε acts on rows of one block only.

    The numbers are few, 1 to 31/16, so that float32 can tell them from a mixture however many blocks there are.
    """
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn(z.shape, generator=random, dtype=torch.float64).to(z)
    plain = _slopes(z, watch, outputs)
    tolerance, left = 1e3 * torch.finfo(z.dtype).eps, block
    while bool((left > 0).any()):
        scales = 1 + (left % DIGIT).to(z.dtype) / DIGIT
        scaled = _slopes(z, watch, outputs * scales[None, :, None])
        for one, other in zip(plain, scaled, strict=True):
            there = one.abs() > one.abs().max() / 100
            ratio = other[there] / one[there]
            wrong = ((ratio * DIGIT).round() / DIGIT - ratio).abs() > tolerance
            if bool((wrong | (ratio > 2 - 0.5 / DIGIT) | (ratio < 1 - 0.5 / DIGIT)).any()):
                return False
        left = left // DIGIT
    return True


def _slopes(z: Tensor, watch: Watch, outputs: Tensor) -> list[Tensor]:
    views = list(watch.views.values())
    found = grad(z, views, outputs, retain_graph=True, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        return [watch.slope(site, gradient) for site, gradient in zip(watch.views, found, strict=True)]
