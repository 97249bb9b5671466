"""The Hessian's spectrum at ε = 0 on the probe: its largest eigenvalues, density and trace, and how mask noise lies to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropviz.statistics.samples import with_error
from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

TOP = 5  # eigenvalues
PROBES = 24  # sign vectors for the trace off the space that Lanczos found
MASKS = 2  # of a minibatch, whose difference is a draw of mask noise


def measure(moment: Moment) -> dict[str, Tensor]:
    """Eigenvalues ± residual, trace and alignment ± standard error, and the density as an array.

    ``spectrum/top1`` to ``spectrum/top5`` and ``spectrum/lowest``: of the first Lanczos run. ``spectrum/trace``: on its space
    exactly, off it by Hutchinson's estimator. ``spectrum/density``: nodes and weights of both runs, (S, n, 2), the weights
    summing to 1 (stochastic Lanczos quadrature, Ghorbani et al. 2019). ``alignment/…``: see ``_alignment``.

    Cost: the ``LANCZOS_STEPS`` and ``PROBES`` Hessian products, and for the alignment a product and two gradients a minibatch.
    """
    trace = _trace(moment)
    return (
        _eigenvalues(moment)
        | with_error("spectrum/trace", trace)
        | _density(moment)
        | _alignment(moment, trace)
    )


def _eigenvalues(moment: Moment) -> dict[str, Tensor]:
    first = moment.probe.krylov[0]
    found = {}
    for index in range(min(TOP, first.values.shape[-1])):
        place = first.values.shape[-1] - 1 - index
        there = first.sizes > index  # of a space that ended early, its last value again
        at = place * there + (first.values.shape[-1] - first.sizes) * ~there
        for name, values in (("", first.values), ("_residual", first.residuals)):
            found[f"spectrum/top{index + 1}{name}"] = values.gather(1, at.unsqueeze(1)).squeeze(1)
    lowest = (first.values.shape[-1] - first.sizes).unsqueeze(1)
    found["spectrum/lowest"] = first.values.gather(1, lowest).squeeze(1)
    found["spectrum/lowest_residual"] = first.residuals.gather(1, lowest).squeeze(1)
    return found


def _trace(moment: Moment) -> list[Tensor]:
    """tr H = tr QᵀHQ + E yᵀHy for random signs y projected off Q, the basis of the first Lanczos run: (S,) a draw."""
    import torch

    probe, first = moment.probe, moment.probe.krylov[0]
    inside = (first.values * _there(first.values, first.sizes)).sum(-1)
    y = torch.stack([probe.signs(f"complement/{index}") for index in range(PROBES)], dim=1)
    for _again in range(2):
        y = y - (y @ first.basis.transpose(-1, -2)) @ first.basis
    return [inside + (one * probe.product(one)).sum(-1) for one in y.unbind(1)]


def _there(values: Tensor, sizes: Tensor) -> Tensor:
    """Which of the ascending values are of the space itself and no filler."""
    import torch

    place = torch.arange(values.shape[-1], device=values.device)
    return place >= values.shape[-1] - sizes.unsqueeze(-1)


def _density(moment: Moment) -> dict[str, Tensor]:
    import torch

    runs = moment.probe.krylov
    nodes, weights = [], []
    for run in runs:
        there = _there(run.values, run.sizes)
        lowest = run.values.where(there, torch.inf).amin(-1, keepdim=True)
        nodes.append(run.values.where(there, lowest))
        weights.append(run.weights * there / len(runs))
    return {"spectrum/density": torch.stack([torch.cat(nodes, -1), torch.cat(weights, -1)], dim=-1)}


def _alignment(moment: Moment, trace: Sequence[Tensor]) -> dict[str, Tensor]:
    """tr(HΣ) = E ξᵀHξ of a step's mask noise ξ, beside tr H tr Σ / P, what noise of this spectrum has in no particular direction.

    ``alignment/value``, ``alignment/null`` and ``alignment/ratio``, as ``curvature.gradient_noise_alignment`` has them, with a
    draw a minibatch. The noise is that of one mask, whatever the arm.
    """
    import torch

    from dropviz.curvature import aligned

    g = moment.gradients("alignment", MASKS)
    rows = moment.minibatches[0].rows / moment.rows
    noise = [rows**0.5 * (pair[:, 0] - pair[:, 1]) / 2**0.5 for pair in g.unbind(1)]
    forms = torch.stack([(one * moment.probe.product(one)).sum(-1) for one in noise])
    lengths = torch.stack([one.square().sum(-1) for one in noise])
    found = aligned(forms, lengths, torch.stack(list(trace)), noise[0].shape[1])
    return {f"alignment/{name}": value for name, value in found.items()}


statistic = Statistic(name="spectrum", groups=("spectrum", "alignment"), tier="refresh", measure=measure)
