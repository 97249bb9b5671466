"""The probe's forward pass at ε = 0, and what several statistics take from it: gradient, Hessian products, draws, eigenvectors.

Shapes: S seeds, N rows, P parameters; vectors in parameter space are (S, P), see ``dropviz.curvature``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

from torch import Tensor
from torch.autograd import grad

from dropviz.curvature.lanczos import Ritz, lanczos
from dropviz.curvature.products import HessianProduct
from dropviz.masks import Draws
from dropviz.regularizers import Network

DRAWS = 2  # of the root-Hessian: two are the fewest with a spread


@dataclass(frozen=True)
class RootDraw:
    """Σ_i √(1/N) w_iᵀz_i with independent E w_iw_iᵀ = H_out, differentiated: its squares have Gauss-Newton traces as their means.

    Attributes:
        parameters: ∂/∂ of each parameter (S, …): the mean of ‖·‖² is tr G, the Gauss-Newton trace.
        sites: Site → ∂/∂ of what the site passes on: the mean of ‖·‖² is tr(JᵀH_outJ) of that Jacobian, mean over rows.
    """

    parameters: Sequence[Tensor]
    sites: dict[str, Tensor]


class Probe:
    """Made once a moment; each part is computed when it is first asked for.

    Args:
        network, parameters, draws: What is looked at, in which parameters, with which random numbers.
        lanczos_steps: Of each run of ``krylov``.
    """

    def __init__(
        self,
        network: Network,
        parameters: Sequence[Tensor],
        draws: Draws,
        *,
        lanczos_steps: Sequence[int],
    ) -> None:
        self.network, self.parameters, self.draws = network, list(parameters), draws
        self.lanczos_steps = lanczos_steps
        self.watch = network.watch()
        self.z = network.forward(self.watch)

    @cached_property
    def product(self) -> HessianProduct:
        """v ↦ Hv of ℓ at ε = 0; its ``gradient`` is the loss's."""
        losses = self.network.mean(self.network.loss.value(self.z, self.network.y))
        return HessianProduct(losses.sum(), self.parameters)

    @cached_property
    def roots(self) -> list[RootDraw]:
        """Independent draws. Cost: a plain backward pass each."""
        names, z = list(self.watch.views), self.z.detach()
        inputs = [*self.parameters, *self.watch.views.values()]
        found = []
        for index in range(DRAWS):
            w = self.network.loss.root(z, self.draws.sample(index)) / sqrt(self.network.rows)
            slopes = grad(self.z, inputs, w, retain_graph=True, allow_unused=True, materialize_grads=True)
            count = len(self.parameters)
            found.append(RootDraw(slopes[:count], dict(zip(names, slopes[count:], strict=True))))
        return found

    @cached_property
    def krylov(self) -> list[Ritz]:
        """Lanczos runs from independent random signs. Cost: a Hessian product a step."""
        count = self.product.shape[1]
        return [
            lanczos(self.product, self.signs(f"start/{index}"), steps=min(steps, count))
            for index, steps in enumerate(self.lanczos_steps)
        ]

    def signs(self, name: str) -> Tensor:
        """±1 in parameter space, of an address of their own: (S, P)."""
        return self.draws.rademacher(name, (self.product.shape[1],)).to(self.parameters[0].dtype)
