"""The arms beside dropout with one mask, as one would write them by hand for one network: no stacking, no library of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.bare import BareLoop


class BareReplicas(BareLoop):
    """The mean over k masks in one forward pass over k·B rows; ``noise`` gives back what k masks lack, by two more masks.

    Args:
        k: Masks a step.
        noise: Whether to add √(1 − 1/k) (ℓ′ − ℓ″) / √2.
        others: See ``BareLoop``.
    """

    def __init__(
        self, arrays: Mapping[str, np.ndarray], sizes: Sequence[int], *, k: int, noise: bool, **others: float
    ) -> None:
        super().__init__(arrays, sizes, **others)  # type: ignore[arg-type]
        self.k, self.noise = k, noise

    def objective(self, x: Tensor, y: Tensor) -> Tensor:
        """One loss, or the sum with the noise."""
        replicas = self.k + 2 * self.noise
        z = self.network(x.repeat(replicas, 1))
        if not self.noise:
            return self.criterion(z, y.repeat(replicas))
        losses = functional.cross_entropy(z, y.repeat(replicas), reduction="none").view(replicas, -1).mean(1)
        noise = losses[self.k] - losses[self.k + 1]
        return losses[: self.k].mean() + sqrt((1 - 1 / self.k) / 2) * noise


class BareSurrogate(BareLoop):
    """ℓ + ½ v Σ_sites tr(JᵀHJ), and with ``implicit`` ∇ℓᵀJη: exact, the Jacobian by the chain rule, all by autograd.

    Softmax cross-entropy sees only differences of logits, so C − 1 directions do; tr(JᵀHJ) is Σ_j h_j² times the variance
    of unit j's slopes under the softmax, and before the output these are the same for all rows.

    Args:
        rate: Drop probability after each hidden layer.
        implicit: Whether to add the noise.
        others: See ``BareLoop``; the network itself has no dropout.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        sizes: Sequence[int],
        *,
        rate: float,
        implicit: bool,
        **others: float,
    ) -> None:
        super().__init__(arrays, sizes, p=0.0, **others)  # type: ignore[arg-type]
        self.v, self.implicit = rate / (1 - rate), implicit
        *self.hidden, self.last = (layer for layer in self.network if isinstance(layer, nn.Linear))

    def objective(self, x: Tensor, y: Tensor) -> Tensor:
        """Rows N, directions K, units W of a layer."""
        h = [x]
        for layer in self.hidden:
            h.append(layer(h[-1]).relu())
        z = self.last(h[-1])
        p = z.softmax(1)
        gradient = (p - functional.one_hot(y, z.shape[1]))[:, :-1] if self.implicit else None
        p = p[:, :-1]
        across = self.last.weight[:-1] - self.last.weight[-1:]  # K, W
        penalty = h[-1].square() * (p @ across.square() - (p @ across).square())
        total = self.criterion(z, y) + self.v / 2 * penalty.sum(1).mean()
        if gradient is not None:
            total = total + self._noise(h[-1], gradient @ across)
        slopes, p = across.unsqueeze(0), p.unsqueeze(1)
        for layer, above, below in zip(self.hidden[:0:-1], h[:1:-1], h[-2:0:-1], strict=True):
            slopes = (slopes * (above.detach() > 0).unsqueeze(1)) @ layer.weight  # N, K, W
            variance = (p @ (slopes * slopes) - (p @ slopes).square()).squeeze(1)
            total = total + self.v / 2 * (below.square() * variance).sum(1).mean()
            if gradient is not None:
                total = total + self._noise(below, (gradient.unsqueeze(1) @ slopes).squeeze(1))
        return total

    def _noise(self, h: Tensor, slope: Tensor) -> Tensor:
        signs = torch.randint(0, 2, h.shape).mul_(2).sub_(1)
        return sqrt(self.v) * (h * slope * signs).sum(1).mean()
