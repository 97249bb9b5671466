"""Calibration: how far the confidence of a classifier is from how often it is right, on the validation split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor

BINS = 15


def measure(moment: Moment) -> dict[str, Tensor]:
    """``calibration/error``: the expected calibration error with 15 bins of equal width (Guo et al. 2017).

    ``calibration/confidence``: the mean probability of the predicted class. Nothing of a regression or a text. It costs no
    forward pass: the evaluation's predictions are used.
    """
    import torch

    if not moment.predictions:
        return {}
    found = [(z.softmax(-1).max(-1), y) for z, y in moment.predictions]
    confidence = torch.cat([top.values for top, _ in found], dim=1)
    right = torch.cat([(top.indices == y).to(confidence.dtype) for top, y in found], dim=1)
    error = calibration_error(confidence, right)
    return {"calibration/error": error, "calibration/confidence": confidence.mean(-1)}


def calibration_error(confidence: Tensor, right: Tensor) -> Tensor:
    """Σ over bins of |Σ right − Σ confidence| / n, from (S, n) each: (S,)."""
    place = (confidence * BINS).long().clamp_(max=BINS - 1)
    gaps = confidence.new_zeros(len(confidence), BINS).scatter_add_(1, place, right - confidence)
    return gaps.abs().sum(-1) / confidence.shape[1]


statistic = Statistic(name="calibration", groups=("calibration",), measure=measure)
