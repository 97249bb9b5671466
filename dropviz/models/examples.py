"""What the models of independent examples share: activations, rows that become replicas, numbers to start from.

Shapes: S seeds, B examples (or R·B′ of R replicas).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

Activation = Literal["relu", "tanh", "gelu"]
HE_GAIN = 2.0  # variance 2 / fan-in keeps the scale of ReLU activations (He et al. 2015)


def only_examples(task: Task) -> str:
    """Why a model of examples cannot do this task, or nothing."""
    if task.kind == "language":
        return "it takes examples of a fixed size, so choose a language model such as lstm."
    return ""


def activated(h: Tensor, activation: Activation) -> Tensor:
    """max(h, 0), tanh h or h Φ(h)."""
    import torch

    return {"relu": torch.relu, "tanh": torch.tanh, "gelu": torch.nn.functional.gelu}[activation](h)


def spread(h: Tensor, rows: int) -> Tensor:
    """(S, B, …) → (S, rows, …), replica by replica: for what meets the output of a site, which may have more rows."""
    if h.shape[1] == rows:
        return h
    return h.unsqueeze(1).expand(-1, rows // h.shape[1], *h.shape[1:]).flatten(1, 2)


def skipped(h: Tensor, branch: Tensor) -> Tensor:
    """h + branch for a skip connection around a branch with a site: (S, B, …) and (S, R·B, …) → (S, R·B, …)."""
    return spread(h, branch.shape[1]) + branch


def initial_values(
    shapes: Mapping[str, tuple[int, ...]],
    random: np.random.Generator,
    scale: Callable[[str, tuple[int, ...]], float],
) -> dict[str, np.ndarray]:
    """Of one seed, float32: biases, shifts and means 0, gains and variances 1, the others normal.

    Args:
        shapes: Name → shape; the normal numbers are drawn in this order.
        random: Draws them.
        scale: Name and shape → their standard deviation.
    """
    values = {}
    for name, shape in shapes.items():
        kind = name.rstrip("0123456789").rpartition("_")[2]
        if kind in ("bias", "shift", "mean"):
            value = np.zeros(shape)
        elif kind in ("gain", "variance"):
            value = np.ones(shape)
        else:
            value = random.standard_normal(shape) * scale(name, shape)
        values[name] = value.astype(np.float32)
    return values
