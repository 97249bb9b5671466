"""Products and traces of the curvature of anybody's module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from dropviz.curvature.module_loss import ModuleLoss
from dropviz.curvature.trace import hutchinson_trace, xtrace
from dropviz.estimate import Estimate, at_least, estimate
from dropviz.losses import IGNORED
from dropviz.sites import Forward

TraceMethod = Literal["hutchinson", "xtrace"]


def hessian_vector_product(
    model: nn.Module,
    x: Any,
    y: Tensor,
    vector: Mapping[str, Tensor],
    *,
    loss: Any = "cross_entropy",
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
) -> dict[str, Tensor]:
    """Hv = ∂²ℓ/∂W² v for the mean loss ℓ over rows, in the parameters that require a gradient (Pearlmutter 1994).

    Args:
        model: Without dropout, or in eval mode. Nothing of it changes.
        x: What the model is called with, or ``forward``'s second argument.
        y: Labels, one a row of the logits: in their shape without the classes, or flat; or a target for each output.
        vector: v by parameter name, in the parameters' shapes.
        loss: ``cross_entropy``, ``half_squared_error``, ``binary_cross_entropy``, or an object with ``value(z, y)`` and
            ``factor(z)``, see ``losses.read_loss``.
        weight: Of each row in the mean; 0 for padding.
        ignore_index: Label of rows that do not count.
        forward: ``forward(model, x)`` gives the logits, for models that return something else.

    Returns:
        By parameter name, without a graph.

    Cost: a forward pass and about three backward passes; nothing of P² numbers.

    Raises:
        ValueError: The model drops (its first site is named), has no parameter to differentiate in, or one of half
            precision; logits or products that are not finite; targets, weights or a vector in the wrong number, shape or
            range; autocast; batch normalization in train mode and other randomness, as in ``dropout_sites``.
    """
    return _product(
        "hessian",
        vector,
        ModuleLoss(model, x, y, loss=loss, weight=weight, ignore_index=ignore_index, forward=forward),
    )


def ggn_vector_product(
    model: nn.Module,
    x: Any,
    y: Tensor | None,
    vector: Mapping[str, Tensor],
    *,
    loss: Any = "cross_entropy",
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
) -> dict[str, Tensor]:
    """Gv = JᵀH_outJv, mean over rows, with the Jacobian J of the logits in the parameters (Schraudolph 2002).

    G is the Hessian without the curvature of the network, positive semidefinite, and with cross-entropy the Fisher matrix.
    Jv is computed in reverse mode, as every model that has a second derivative has it.

    Args:
        model, x, vector, loss, weight, ignore_index, forward: See ``hessian_vector_product``.
        y: Which rows are labelled ``ignore_index``; G depends on no other label, so it may be None.

    Cost: a forward pass and about four backward passes.

    Raises:
        ValueError: See ``hessian_vector_product``.
    """
    return _product(
        "ggn",
        vector,
        ModuleLoss(model, x, y, loss=loss, weight=weight, ignore_index=ignore_index, forward=forward),
    )


def hessian_trace(
    model: nn.Module,
    x: Any,
    y: Tensor,
    *,
    samples: int = 32,
    method: TraceMethod = "hutchinson",
    loss: Any = "cross_entropy",
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> Estimate:
    """tr ∂²ℓ/∂W², unbiased, with its standard error.

    Args:
        model, x, y, loss, weight, ignore_index, forward: See ``hessian_vector_product``.
        samples: Hessian products, at least 2; for xtrace at least 4 and at most 2P, of which an odd one is left out.
        method: ``hutchinson``: the mean of uᵀHu over random signs u (Hutchinson 1990). ``xtrace``: exact on a space of
            samples/2 dimensions, and a sample each for the rest (Epperly, Tropp & Webber 2024); it keeps samples/2 vectors of
            P numbers, and wins from some 48 samples where few eigenvalues are most of the trace. Its standard error is a
            guide, as its parts are not independent.
        generator: For the draws; without one they differ from call to call.

    Cost: a gradient with its graph, and about 2 gradients a sample.

    Raises:
        ValueError: A method or number of samples that is not possible; or see ``hessian_vector_product``.
    """
    if method not in get_args(TraceMethod):
        raise ValueError(f"method = {method!r} is not possible: choose {' or '.join(get_args(TraceMethod))}.")
    at_least("samples", samples, 2 if method == "hutchinson" else 4)
    asked = ModuleLoss(
        model,
        x,
        y,
        loss=loss,
        weight=weight,
        ignore_index=ignore_index,
        forward=forward,
        generator=generator,
    )
    product = asked.product("hessian")
    if method == "xtrace":
        if samples // 2 > asked.count:
            raise ValueError(
                f"samples = {samples} is more than xtrace has use for: take at most {2 * asked.count}, which is exact for"
                f" {asked.count} parameters."
            )
        found = xtrace(product, asked.normals(samples // 2))
    else:
        found = hutchinson_trace(product, (asked.signs() for _ in range(samples)))
    mean, error = (float(part) for part in found)
    return Estimate(mean=mean, standard_error=error)


def ggn_trace(
    model: nn.Module,
    x: Any,
    y: Tensor | None = None,
    *,
    samples: int = 32,
    loss: Any = "cross_entropy",
    weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    forward: Forward | None = None,
    generator: torch.Generator | None = None,
) -> Estimate:
    """tr JᵀH_outJ, mean over rows, unbiased, with its standard error; with cross-entropy the trace of the Fisher matrix.

    The mean of ‖Σ_i √ω_i J_iᵀw_i‖² over draws of a w_i with E w_iw_iᵀ = H_out for each row i, ω_i its weight in the mean: the
    w_i are independent, so what rows have in common falls out of the mean.

    Args:
        model, x, loss, weight, ignore_index, forward, generator: See ``hessian_trace``.
        y: Which rows are labelled ``ignore_index``; G depends on no other label, so it may be left out.
        samples: Draws, at least 2.

    Cost: a forward pass, and a backward pass a sample: half of what a sample of ``hessian_trace`` takes.

    Raises:
        ValueError: See ``hessian_trace``.
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
    )
    return estimate(asked.root_slope().square().sum() for _ in range(samples))


def _product(matrix: str, vector: Mapping[str, Tensor], asked: ModuleLoss) -> dict[str, Tensor]:
    return asked.by_name(asked.product(matrix)(asked.vector(vector)))
