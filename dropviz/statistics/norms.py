"""Sizes: of activations and of the Jacobian at each dropout site, of each layer's weights, and into how few directions
its units' weights have condensed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropviz.statistics.samples import by_layer, squares, with_error
from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor


def measure(moment: Moment) -> dict[str, Tensor]:
    """Without further derivatives than those of ``Probe.roots``.

    ``norms/<site>/activation``: ‖h‖, root of the mean square over the rows. ``norms/<site>/jacobian``: tr(JᵀH_outJ) for the
    Jacobian of the logits in h, mean over rows, ± standard error: the sensitivity that the paper's bound weighs
    activations with. ``weights/<layer>/norm``: ‖W‖. ``weights/<layer>/directions``: see ``directions``.
    """
    probe, found = moment.probe, {}
    for site, h in probe.watch.before.items():
        per_row = h.detach().flatten(1).square().sum(-1) / moment.network.rows
        found[f"norms/{site}/activation"] = per_row.sqrt()
        found |= with_error(
            f"norms/{site}/jacobian", [squares([root.sites[site]])[0] for root in probe.roots]
        )
    for layer, square in by_layer(squares(moment.parameters), moment.layers).items():
        found[f"weights/{layer}/norm"] = square.sqrt()
    return found | _directions(moment)


def _directions(moment: Moment) -> dict[str, Tensor]:
    """Of the largest matrix of each layer."""
    largest: dict[str, Tensor] = {}
    for parameter, layer in zip(moment.parameters, moment.layers, strict=True):
        matrix = parameter.detach()
        if matrix.ndim == 3 and min(matrix.shape[1:]) > 1:
            former = largest.get(layer)
            if former is None or matrix[0].numel() > former[0].numel():
                largest[layer] = matrix
    return {f"weights/{layer}/directions": directions(matrix) for layer, matrix in largest.items()}


def directions(matrix: Tensor) -> Tensor:
    """How many directions the units' incoming weights point in: (S,).

    The participation ratio n² / ‖ŴᵀŴ‖² of the n unit vectors ŵ_j, the columns of W (S, inputs, units) scaled to length 1: 1
    where all units share one line, at most min(inputs, units) where they spread evenly. Units of weight 0 do not count.
    """
    lengths = matrix.norm(dim=1, keepdim=True)
    unit = matrix / lengths.clamp_min(1e-30)
    small = (
        unit @ unit.transpose(-1, -2) if matrix.shape[1] < matrix.shape[2] else unit.transpose(-1, -2) @ unit
    )
    count = (lengths > 1e-30).sum((-1, -2))
    return count.square() / small.square().sum((-1, -2)).clamp_min(1e-30)


statistic = Statistic(name="norms", groups=("norms", "weights"), measure=measure)
