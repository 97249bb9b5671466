"""A minibatch as a function of mask space, and derivatives with respect to ε at its sites."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.losses import Loss, cross_entropy
from dropviz.masks import SiteBehaviour, Watch, keep_all

Jacobians = Mapping[
    str, tuple[Tensor, Tensor]
]  # site → h and s with J_kj = h_j s_kj, see ``explicit.site_jacobians``


@dataclass(kw_only=True)
class Network:
    """One minibatch of a model, its targets and its loss.

    Attributes:
        forward: Site behaviour → logits (S, rows, C).
        y: Labels (S, B), or targets (S, B, C).
        variances: Site → v = p / (1 − p).
        loss: At the output.
        weights: Of the rows in a mean (S, B), summing to 1; None where all count alike.
        watch: Makes the behaviour that ε is differentiated through.
        by_row: Whether every coordinate of ε acts on one row alone, its own: true of the stacked models.
        passes: Where not: in which pass each row can be differentiated, so that no coordinate acts on two rows of it, and
            how many passes there are.
        jacobians: Logits and site Jacobians from ``Loss.directions``, computed faster than by
            ``explicit.site_jacobians``, where a model can.
        output: The site whose units go straight into a linear output z = hA + b, with h (S, B, W) and A (S, W, C); None
            where there is none.
        parameters: What training moves, for penalties on it.
        shapes: Site → the shape of its ε without seeds, to draw masks for; see ``masks.Draws``.
    """

    forward: Callable[[SiteBehaviour], Tensor]
    y: Tensor
    variances: Mapping[str, float]
    loss: Loss = cross_entropy
    weights: Tensor | None = None
    watch: Callable[[], Watch] = Watch
    by_row: bool = True
    passes: Callable[[Tensor, Watch], tuple[Tensor, int]] | None = None
    jacobians: Callable[[Callable[[Tensor], Tensor]], tuple[Tensor, Jacobians] | None] = lambda directions: (
        None
    )
    output: Callable[[Watch], tuple[str, Tensor, Tensor] | None] = lambda watch: None
    parameters: Sequence[Tensor] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """N, the rows of logits."""
        return self.y.shape[1]

    def mean(self, rows: Tensor) -> Tensor:
        """The mean over rows: (S, …, B) → (S, …)."""
        if self.weights is None:
            return rows.mean(-1)
        weights = self.weights.view(len(self.weights), *[1] * (rows.ndim - 2), -1)
        return (rows * weights).sum(-1)

    def share(self, product: Tensor) -> Tensor:
        """The sum over ε of each row (S, B); where ε is not by row, the sum over all (S, 1)."""
        return product.flatten(2).sum(-1) if self.by_row else product.flatten(1).sum(-1, keepdim=True)

    def plain(self) -> Tensor:
        """ℓ(z(0)), mean over rows: (S,)."""
        return self.mean(self.loss.value(self.forward(keep_all), self.y))

    def weighted(self, outputs: Tensor, *, root: bool = False) -> Tensor:
        """Vectors in output space (S, B, C), times each row's weight in the mean, or the root of that.

        Where ε is by row this is left to ``mean``.
        """
        if self.by_row:
            return outputs
        if self.weights is None:
            return outputs * (1 / outputs.shape[1]) ** (0.5 if root else 1)
        weights = self.weights.sqrt() if root else self.weights
        return outputs * weights.unsqueeze(-1)

    def row_mean(self, shares: Tensor) -> Tensor:
        """The mean of what ``share`` made of ``weighted`` vectors: (S, B) or (S, 1) → (S,)."""
        return self.mean(shares) if self.by_row else shares.squeeze(-1)


@dataclass(frozen=True, kw_only=True)
class LossTerms:
    """What a step differentiates, a value a seed (S,): data, explicit and implicit terms; None is absent."""

    data: Tensor
    explicit: Tensor | None = None
    implicit: Tensor | None = None

    @property
    def present(self) -> list[Tensor]:
        """The terms that there are."""
        return [term for term in (self.data, self.explicit, self.implicit) if term is not None]

    @property
    def total(self) -> Tensor:
        """The sum over terms and seeds: seeds share no parameter, so their gradients do not mix."""
        return torch.stack(self.present).sum()

    def gradients(self, parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Of ``total``, without the additions: each term is a root of its own in the backward pass."""
        terms = self.present
        return grad(terms, parameters, [torch.ones_like(self.data)] * len(terms))


def slopes(z: Tensor, watch: Watch, outputs: Tensor, sites: Iterable[str] | None = None) -> dict[str, Tensor]:
    """∂(outputsᵀz)/∂ε by site, differentiable; in the inner derivative ``outputs`` is a constant. Cost: a backward pass."""
    chosen = list(watch.views if sites is None else sites)
    if not chosen:
        return {}
    views = [watch.views[site] for site in chosen]
    found = grad(z, views, outputs, create_graph=True, allow_unused=True, materialize_grads=True)
    return {site: watch.slope(site, gradient) for site, gradient in zip(chosen, found, strict=True)}


class Tangent:
    """t ↦ Jt for the Jacobian J of outputs z in ``inputs``, by two backward passes, the second through the first.

    The first one, which is done here, serves many t. Every model that has a second derivative has it; forward mode is
    not needed.
    """

    def __init__(self, z: Tensor, inputs: Sequence[Tensor]) -> None:
        self.u = torch.zeros_like(z, requires_grad=True)
        self.pulled = grad(
            z, list(inputs), self.u, create_graph=True, allow_unused=True, materialize_grads=True
        )

    def __call__(self, directions: Sequence[Tensor], *, create_graph: bool = False) -> Tensor:
        """In the shape of z, for a direction an input. Cost: a backward pass."""
        pairs = zip(self.pulled, directions, strict=True)
        used = [(pulled, direction) for pulled, direction in pairs if pulled.requires_grad]
        if not used:
            return torch.zeros_like(self.u, requires_grad=False)
        pulled, moved = zip(*used, strict=True)
        return grad(pulled, self.u, moved, retain_graph=True, create_graph=create_graph)[0]


def tangent(z: Tensor, watch: Watch, direction: Mapping[str, Tensor]) -> Tensor:
    """Jη for a direction η in mask space, by site: (S, B, C), differentiable. Cost: see ``Tangent``."""
    moved = [watch.moved(site, epsilon) for site, epsilon in direction.items()]
    return Tangent(z, [watch.views[site] for site in direction])(moved, create_graph=True)
