"""How dropout's gradient noise lies to the Hessian: ⟨H, Cov ξ⟩, beside noise of the same spectrum in a random orientation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dropviz.curvature.module_loss import ModuleLoss
from dropviz.curvature.products import flat
from dropviz.curvature.trace import hutchinson_trace
from dropviz.estimate import Estimate, at_least, estimate
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
    forms, lengths = [], []
    for _ in range(samples):
        noise = flat(list(noise_of(asked.network, kind).values()), 1)
        forms.append((noise * product(noise)).sum())
        lengths.append(noise.square().sum())
    trace, trace_error = hutchinson_trace(product, (asked.signs() for _ in range(samples)))
    t = Estimate(mean=float(trace), standard_error=float(trace_error))
    q, s = estimate(forms), estimate(lengths)
    return Alignment(
        alignment=q, null=null_of(t, s, asked.count), ratio=ratio_of(forms, lengths, t, asked.count)
    )


def null_of(t: Estimate, s: Estimate, count: int) -> Estimate:
    """t̄ s̄ / P of independent means."""
    parts = t.mean * s.standard_error, s.mean * t.standard_error, t.standard_error * s.standard_error
    return Estimate(mean=t.mean * s.mean / count, standard_error=sqrt(sum(part**2 for part in parts)) / count)


def ratio_of(forms: Sequence[Tensor], lengths: Sequence[Tensor], t: Estimate, count: int) -> Estimate:
    """P q̄ / (t̄ s̄) of pairs (q_i, s_i) and an independent mean."""
    q, s = estimate(forms).mean, estimate(lengths).mean
    if not s * t.mean:
        return Estimate(mean=nan, standard_error=nan)
    pairs = zip(forms, lengths, strict=True)
    own = estimate(form - q / s * length for form, length in pairs).standard_error / (s * t.mean)
    of_trace = q * t.standard_error / (s * t.mean**2)
    return Estimate(mean=count * q / (s * t.mean), standard_error=count * sqrt(own**2 + of_trace**2))
