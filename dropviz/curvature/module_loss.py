"""Anybody's module as what curvature is taken of: its loss at ε = 0 as a function of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from dropviz.curvature.products import GaussNewtonProduct, HessianProduct, ParameterSpace, flat
from dropviz.losses import IGNORED
from dropviz.masks import keep_all
from dropviz.modules.network import NOT_NEEDED, ModuleNetwork
from dropviz.sites import Forward

Matrix = Literal["hessian", "ggn"]


class ModuleLoss:
    """ℓ at ε = 0, mean over rows, in the parameters that require a gradient, laid end to end: vectors are (1, P).

    Args:
        model, x, y, loss, weight, ignore_index, forward, generator: See ``modules.network.ModuleNetwork``.
        dropout: Whether the model has to perform dropout; if not, it must perform none.

    Cost: one forward pass with its graph, which serves all products.

    Raises:
        ValueError: See ``hessian_vector_product``.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Any,
        y: Tensor | None,
        *,
        loss: Any = "cross_entropy",
        weight: Tensor | None = None,
        ignore_index: int = IGNORED,
        forward: Forward | None = None,
        generator: torch.Generator | None = None,
        dropout: bool = False,
    ) -> None:
        self.names, tensors = _parameters(model)
        self.space = ParameterSpace(tensors, seeds=1)
        self.network = ModuleNetwork(
            model,
            x,
            NOT_NEEDED if y is None else y,
            loss=loss,
            weight=weight,
            ignore_index=ignore_index,
            forward=forward,
            generator=generator,
            dropout=dropout,
        )
        self.draws = self.network.draws
        with torch.enable_grad():
            self.z = self.network.forward(keep_all)
        if not self.z.requires_grad:
            raise ValueError(
                "The logits do not depend on any parameter that can be differentiated: take out detach(), no_grad() and"
                " inference_mode()."
            )
        self.count = self.space.shape[1]  # P
        double = any(tensor.dtype == torch.float64 for tensor in tensors)
        self.dtype = torch.float64 if double else torch.float32

    def product(self, matrix: str) -> Callable[[Tensor], Tensor]:
        """v ↦ Hv, or v ↦ JᵀH_outJv: (1, P) → (1, P). Cost: see ``HessianProduct`` and ``GaussNewtonProduct``.

        Raises:
            ValueError: Another matrix; or, from a product, numbers that are not finite.
        """
        if matrix not in get_args(Matrix):
            raise ValueError(f"matrix = {matrix!r} is not possible: choose {' or '.join(get_args(Matrix))}.")
        if matrix == "hessian" and self.network.targets is NOT_NEEDED:
            raise ValueError("y is None, but the Hessian depends on the targets: give them, or take the ggn.")
        with torch.enable_grad():
            exact = self._hessian() if matrix == "hessian" else self._gauss_newton()

        def checked(vector: Tensor) -> Tensor:
            image = exact(vector)
            if not bool(image.isfinite().all()):
                raise ValueError(
                    f"{int((~image.isfinite()).sum())} of {self.count} numbers of a {matrix} product are not finite: look"
                    " for roots, norms and divisions at 0, which have no finite derivative there."
                )
            return image

        return checked

    def root_slope(self) -> Tensor:
        """Σ_i √ω_i J_iᵀw_i with E w_iw_iᵀ = H_out, independent rows i of weight ω_i: (1, P). Cost: a backward pass."""
        root = self.network.loss.root(self.z.detach(), self.draws)
        return self.space.slope([self.z], [self.network.weighted(root, root=True)])

    def signs(self) -> Tensor:
        """±1: (1, P)."""
        return self.draws.rademacher(self.count).to(self.dtype)

    def normals(self, count: int) -> Tensor:
        """Standard normal: (count, 1, P)."""
        return self.draws.normals(count, self.count).transpose(0, 1).to(self.dtype)

    def vector(self, named: Mapping[str, Tensor]) -> Tensor:
        """A vector by parameter name, laid end to end: (1, P).

        Raises:
            ValueError: A name too many or too few, or a shape that is not the parameter's.
        """
        for name in sorted(set(named) ^ set(self.names)):
            what = f"has no entry {name}" if name in self.names else f"has the entry {name} too many"
            raise ValueError(f"vector {what}: give it one for each parameter that requires a gradient.")
        for name, parameter in zip(self.names, self.space.parameters, strict=True):
            given = named[name]
            if not isinstance(given, Tensor) or given.shape != parameter.shape:
                shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
                raise ValueError(
                    f"vector[{name!r}] has the shape {shape}, but the parameter has {tuple(parameter.shape)}."
                )
        return flat([named[name].detach().to(self.z.device, self.dtype) for name in self.names], 1)

    def by_name(self, vector: Tensor) -> dict[str, Tensor]:
        """A vector (1, P) by parameter name, in the parameters' shapes and precisions."""
        return dict(zip(self.names, self.space.parts(vector), strict=True))

    def _hessian(self) -> HessianProduct:
        network = self.network
        value = network.mean(network.loss.value(self.z, network.y)).sum()
        return HessianProduct(value, self.space.parameters, seeds=1)

    def _gauss_newton(self) -> GaussNewtonProduct:
        network, z = self.network, self.z.detach()
        return GaussNewtonProduct(
            self.z,
            self.space.parameters,
            lambda moved: network.weighted(network.loss.hessian_product(z, moved)),
            seeds=1,
        )


def _parameters(model: nn.Module) -> tuple[list[str], list[Tensor]]:
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not named:
        raise ValueError(
            f"{type(model).__name__} has no parameter that requires a gradient: call requires_grad_() on one."
        )
    for name, parameter in named.items():
        if parameter.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"{name} is of {parameter.dtype}, which is too coarse for curvature: call model.float()."
            )
    return list(named), list(named.values())
