"""How dropout's gradient noise lies to the Hessian: ⟨H, Cov ξ⟩, beside noise of the same spectrum in a random orientation."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dropviz.curvature.module_loss import ModuleLoss
from dropviz.curvature.products import flat
from dropviz.estimate import Estimate, at_least
from dropviz.losses import IGNORED
from dropviz.modules.noise import noise_of
from dropviz.sites import Forward


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """⟨H, Σ⟩ for the Hessian H of the loss and the covariance Σ of the gradient noise.

    Attributes:
        alignment: ⟨H, Σ⟩ = tr(HΣ) = E ξᵀHξ.
        null: tr(H) tr(Σ) / P, the mean of ⟨H, QΣQᵀ⟩ over random rotations Q: what noise of this spectrum has in no particular
            direction.
        ratio: alignment / null: above 1, noise lies where the loss is curved. NaN where the null is 0.
    """

    alignment: Estimate
    null: Estimate
    ratio: Estimate


def gradient_noise_alignment(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    kind: Literal["mask", "analytic"] = "mask",
    samples: int = 32,
    loss: Any = "cross_entropy",
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> Alignment:
    """⟨H, Cov ξ⟩ = E ξᵀHξ of dropout's gradient noise ξ of one update, with H the Hessian of the loss at ε = 0.

    From n draws q_i = ξ_iᵀHξ_i and s_i = ‖ξ_i‖² and, independent of them, n sign vectors for t = tr H: alignment q̄, null
    t̄ s̄ / P, ratio P q̄ / (t̄ s̄). Standard errors: of q̄ and t̄ from their spread; of the null, a product of independent means,
    √(t̄²V(s̄) + s̄²V(t̄) + V(t̄)V(s̄)) / P; of the ratio to first order, √(V(mean of q_i − (q̄/s̄)s_i) / (s̄t̄)² + (q̄/(s̄t̄²))²V(t̄)) P,
    as q_i and s_i come from the same draw. The ratio of means is biased by order 1/n.

    Args:
        model: In train mode, with dropout.
        x, y, loss, weight, ignore_index, forward: See ``hessian_vector_product``.
        kind: ``mask``: (∇ℓ(ε′) − ∇ℓ(ε″)) / √2, of dropout's covariance exactly. ``analytic``: ξ_approx, see
            ``modules.implicit_noise``.
        samples: Draws of the noise, and sign vectors, at least 2.
        generator: For the draws; without one they differ from call to call.

    Cost: a draw of the noise and two Hessian products a sample, about 6 gradients.

    Raises:
        ValueError: The model performs no dropout; a kind that does not exist; or see ``hessian_vector_product``.
    """
    at_least("samples", samples, 2)
    asked = ModuleLoss(
        model,
        x,
        y,
        loss=loss,
        weight=weight,
        ignore_index=ignore_index,
        forward=forward,
        generator=generator,
        dropout=True,
    )
    product = asked.product("hessian")
    forms, lengths, traces = [], [], []
    for _ in range(samples):
        noise, signs = flat(list(noise_of(asked.network, kind).values()), 1), asked.signs()
        forms.append((noise * product(noise)).sum(-1))
        lengths.append(noise.square().sum(-1))
        traces.append((signs * product(signs)).sum(-1))
    found = aligned(torch.stack(forms), torch.stack(lengths), torch.stack(traces), asked.count)
    estimates = {
        name: Estimate(mean=float(found[name]), standard_error=float(found[f"{name}_se"]))
        for name in ("value", "null", "ratio")
    }
    return Alignment(alignment=estimates["value"], null=estimates["null"], ratio=estimates["ratio"])


def aligned(forms: Tensor, lengths: Tensor, traces: Tensor, count: int) -> dict[str, Tensor]:
    """Alignment, null and ratio with their standard errors, as ``gradient_noise_alignment`` describes them.

    Args:
        forms: ξᵀHξ of n draws of the noise: (n, S).
        lengths: ‖ξ‖² of the same draws: (n, S).
        traces: Unbiased estimates of tr H, independent of the noise and of each other: (m, S).
        count: P.

    Returns:
        ``value``, ``null``, ``ratio``, and each name with ``_se``: (S,). The ratio is NaN where the null is 0.
    """
    forms, lengths, traces = forms.double(), lengths.double(), traces.double()
    (q, q_error), (s, s_error), (t, t_error) = (_mean_error(one) for one in (forms, lengths, traces))
    null_error = ((t * s_error) ** 2 + (s * t_error) ** 2 + (t_error * s_error) ** 2).sqrt()
    _, pair_error = _mean_error(forms - q / s * lengths)
    ratio_error = ((pair_error / (s * t)) ** 2 + (q * t_error / (s * t**2)) ** 2).sqrt()
    return {
        "value": q,
        "value_se": q_error,
        "null": t * s / count,
        "null_se": null_error / count,
        "ratio": torch.where(s * t == 0, torch.nan, count * q / (s * t)),
        "ratio_se": torch.where(s * t == 0, torch.nan, count * ratio_error),
    }


def _mean_error(samples: Tensor) -> tuple[Tensor, Tensor]:
    return samples.mean(0), samples.std(0) / sqrt(len(samples))
