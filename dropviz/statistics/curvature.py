"""Curvature of the loss at ε = 0 on the probe: the Hessian's trace and its largest eigenvalue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor

PROBES = 2  # sign vectors for the trace
LANCZOS_STEPS = 3  # from the eigenvector of the moment before
FIRST_LANCZOS_STEPS = 8  # from a random vector


def measure(moment: Moment) -> dict[str, Tensor]:
    """Trace ± standard error over sign vectors, and largest eigenvalue with its residual.

    Cost: a gradient with its graph and ``PROBES + LANCZOS_STEPS`` Hessian products.
    """
    from dropviz.curvature import HessianProduct, hutchinson_trace, largest_eigenvalue
    from dropviz.regularizers import plain_loss

    product = HessianProduct(plain_loss(moment.probe).total, moment.parameters)
    draws = moment.draws("curvature", moment.probe)
    _, count = product.shape
    signs = draws.rademacher("direction", (PROBES + 1, count)).transpose(0, 1).to(moment.parameters[0].dtype)
    trace, error = hutchinson_trace(product, signs[:PROBES])
    warm = moment.memory.get("top_eigenvector")
    top = largest_eigenvalue(
        product,
        signs[PROBES] if warm is None else _usable(warm, signs[PROBES]),
        steps=min(count, FIRST_LANCZOS_STEPS if warm is None else LANCZOS_STEPS),
    )
    moment.memory["top_eigenvector"] = top.vector
    return {
        "curvature/hessian_trace": trace,
        "curvature/hessian_trace_se": error,
        "curvature/top_eigenvalue": top.value,
        "curvature/top_eigenvalue_residual": top.residual,
    }


def _usable(vectors: Tensor, others: Tensor) -> Tensor:
    """The vectors, and the other one for a seed where it is zero or not finite."""
    norms = vectors.norm(dim=-1, keepdim=True)
    return others.where(~(norms.isfinite() & (norms > 0)), vectors)


statistic = Statistic(
    name="curvature",
    metrics=(
        "curvature/hessian_trace",
        "curvature/hessian_trace_se",
        "curvature/top_eigenvalue",
        "curvature/top_eigenvalue_residual",
    ),
    measure=measure,
)
