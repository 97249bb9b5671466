"""Slow, obvious twins of the library's formulas: one net, float64, every mask enumerated, every matrix formed.

Nothing here knows the library, so a mistake there is not repeated here.
Shapes: B rows, D features, C classes, n units over all dropout sites, P parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import numpy as np
import torch
from torch import Tensor
from torch.autograd.functional import hessian as full_hessian
from torch.autograd.functional import jacobian as full_jacobian
from torch.func import grad, vmap


@dataclass(frozen=True, kw_only=True)
class Net:
    """A multilayer perceptron whose parameters are one vector: weight (in, out), bias, layer by layer.

    A site's ε multiplies what enters the layer after it: ``input``, ``hidden1``, ….
    """

    sizes: tuple[int, ...]
    sites: tuple[str, ...]
    activation: Callable[[Tensor], Tensor] = torch.tanh

    @property
    def units(self) -> int:
        """n, the length of ε."""
        return sum(size for layer, size in enumerate(self.sizes[:-1]) if self._site(layer) in self.sites)

    @property
    def count(self) -> int:
        """P, the length of w."""
        return sum(inputs * outputs + outputs for inputs, outputs in pairwise(self.sizes))

    def logits(self, w: Tensor, x: Tensor, epsilon: Tensor) -> Tensor:
        """z(ε) of one example: (P,), (D,), (n,) → (C,)."""
        h, used, seen = x, 0, 0
        for layer, (inputs, outputs) in enumerate(pairwise(self.sizes)):
            if layer:
                h = self.activation(h)
            if self._site(layer) in self.sites:
                h = h * (1 + epsilon[seen : seen + inputs])
                seen += inputs
            weight = w[used : used + inputs * outputs].reshape(inputs, outputs)
            used += inputs * outputs
            h = h @ weight + w[used : used + outputs]
            used += outputs
        return h

    def still(self) -> Tensor:
        """ε = 0."""
        return torch.zeros(self.units, dtype=torch.float64)

    @staticmethod
    def _site(layer: int) -> str:
        return f"hidden{layer}" if layer else "input"


def variance(p: float) -> float:
    """The second moment of ε, written out over its two values."""
    return p * (-1.0) ** 2 + (1 - p) * (p / (1 - p)) ** 2


def every_mask(n: int, p: float) -> tuple[Tensor, Tensor]:
    """All 2ⁿ masks: probabilities (2ⁿ,) and ε (2ⁿ, n)."""
    dropped = torch.tensor(list(product((0.0, 1.0), repeat=n)), dtype=torch.float64)
    probabilities = (p**dropped * (1 - p) ** (1 - dropped)).prod(-1)
    return probabilities, (1 - dropped) * (p / (1 - p)) - dropped


def loss(z: Tensor, y: Tensor) -> Tensor:
    """−log of the softmax probability of y."""
    return z.exp().sum().log() - (z * torch.nn.functional.one_hot(y, len(z))).sum()


def half_squared_error(z: Tensor, y: Tensor) -> Tensor:
    """½ ‖z − y‖²."""
    return sum((a - b) ** 2 for a, b in zip(z, y, strict=True)) / 2


def binary_cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    """−y log π − (1 − y) log(1 − π) of each output, π = 1 / (1 + e^−z)."""
    p = 1 / (1 + (-z).exp())
    return -(y * p.log() + (1 - y) * (1 - p).log()).sum()


def loss_at(net: Net, w: Tensor, x: Tensor, y: Tensor, epsilon: Tensor) -> Tensor:
    """ℓ(z(ε)) of one example."""
    return loss(net.logits(w, x, epsilon), y)


def plain_loss(net: Net, w: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """ℓ(z(0)), mean over rows."""
    return torch.stack([loss_at(net, w, x, y, net.still()) for x, y in zip(xs, ys, strict=True)]).mean()


def dropout_loss(net: Net, w: Tensor, xs: Tensor, ys: Tensor, p: float) -> Tensor:
    """E_ε ℓ(z(ε)), mean over rows."""
    probabilities, masks = every_mask(net.units, p)
    rows = [
        (probabilities * vmap(loss_at, in_dims=(None, None, None, None, 0))(net, w, x, y, masks)).sum()
        for x, y in zip(xs, ys, strict=True)
    ]
    return torch.stack(rows).mean()


def explicit_regularizer(net: Net, w: Tensor, xs: Tensor, ys: Tensor, p: float) -> Tensor:
    """R = E_ε ℓ(z(ε)) − ℓ(z(0)), mean over rows."""
    return dropout_loss(net, w, xs, ys, p) - plain_loss(net, w, xs, ys)


def noise_covariance(net: Net, w: Tensor, xs: Tensor, ys: Tensor, p: float) -> Tensor:
    """Cov of the minibatch gradient over masks that are independent between rows: (P, P)."""
    probabilities, masks = every_mask(net.units, p)
    total = torch.zeros(len(w), len(w), dtype=torch.float64)
    for x, y in zip(xs, ys, strict=True):
        gradients = vmap(grad(loss_at, argnums=1), in_dims=(None, None, None, None, 0))(net, w, x, y, masks)
        centred = gradients - probabilities @ gradients
        total += centred.T @ (probabilities[:, None] * centred)
    return total / len(xs) ** 2


def mask_jacobian(net: Net, w: Tensor, x: Tensor) -> Tensor:
    """∂z/∂ε at 0: (C, n), differentiable in w."""
    return full_jacobian(lambda epsilon: net.logits(w, x, epsilon), net.still(), create_graph=True)


def output_hessian(z: Tensor) -> Tensor:
    """The Hessian of the loss in the logits: (C, C), differentiable in z."""
    return full_hessian(lambda at: loss(at, torch.tensor(0)), z, create_graph=True)


def gauss_newton(net: Net, w: Tensor, xs: Tensor) -> Tensor:
    """Σ JᵀH_outJ with the Jacobian J of the logits in w, mean over rows: (P, P)."""
    rows = []
    for x in xs:
        jacobian = full_jacobian(lambda w, x=x: net.logits(w, x, net.still()), w)
        rows.append(jacobian.T @ output_hessian(net.logits(w, x, net.still())) @ jacobian)
    return torch.stack(rows).mean(0)


def approximate_regularizer(net: Net, w: Tensor, xs: Tensor, p: float, *, constant: bool = False) -> Tensor:
    """½ v tr(JᵀH_out J), mean over rows; ``constant`` keeps H_out out of the derivative."""
    rows = []
    for x in xs:
        jacobian = mask_jacobian(net, w, x)
        curvature = output_hessian(net.logits(w, x, net.still()))
        curvature = curvature.detach() if constant else curvature
        rows.append(torch.trace(jacobian.T @ curvature @ jacobian))
    return variance(p) / 2 * torch.stack(rows).mean()


def second_order_term(net: Net, w: Tensor, x: Tensor, y: Tensor, p: float) -> Tensor:
    """½ v tr(∇²_ε ℓ) of one example."""
    return variance(p) / 2 * torch.trace(full_hessian(lambda e: loss_at(net, w, x, y, e), net.still()))


def noise_term(net: Net, w: Tensor, xs: Tensor, ys: Tensor, tangents: Tensor) -> Tensor:
    """∇ℓᵀJη for η (B, n), mean over rows, differentiable in w."""
    rows = []
    for x, y, tangent in zip(xs, ys, tangents, strict=True):
        z = net.logits(w, x, net.still())
        slope = full_jacobian(lambda at, y=y: loss(at, y), z, create_graph=True)
        rows.append(slope @ mask_jacobian(net, w, x) @ tangent)
    return torch.stack(rows).mean()


def approximate_noise_covariance(net: Net, w: Tensor, xs: Tensor, ys: Tensor, p: float) -> Tensor:
    """Cov of ∇_w ∇ℓᵀJη over independent η of variance v: (P, P)."""
    total = torch.zeros(len(w), len(w), dtype=torch.float64)
    for x, y in zip(xs, ys, strict=True):
        columns = [
            full_jacobian(lambda at, x=x, y=y, e=e: noise_term(net, at, x[None], y[None], e[None]), w)
            for e in torch.eye(net.units, dtype=torch.float64)
        ]
        total += variance(p) * torch.stack(columns).T @ torch.stack(columns)
    return total / len(xs) ** 2


def gradient(function: Callable[[Tensor], Tensor], w: Tensor) -> Tensor:
    """∂ function / ∂ w: (P,)."""
    return full_jacobian(function, w)


def hessian(function: Callable[[Tensor], Tensor], w: Tensor) -> Tensor:
    """The full Hessian in w: (P, P)."""
    return full_hessian(function, w)


# Closed forms. Shapes: xs (N, D), weights (inputs, outputs), v the variance of ε.


def ridge(beta: Tensor, xs: Tensor, v: float) -> Tensor:
    """(v/2) Σ_jc β_jc² mean_i x_ij²: half squared error of a linear model, dropout on its input."""
    return v / 2 * (beta.square().sum(-1) * xs.square().mean(0)).sum()


def logistic(beta: Tensor, xs: Tensor, v: float) -> Tensor:
    """(v/2) mean_i π_i (1 − π_i) Σ_j x_ij² β_j²: logistic regression, dropout on its input (Wager et al. 2013)."""
    rows = []
    for x in xs:
        risk = 1 / (1 + (-(x @ beta)).exp())
        rows.append(risk * (1 - risk) * (x * beta).square().sum())
    return v / 2 * torch.stack(rows).mean()


def two_linear_layers(a: Tensor, u: Tensor, xs: Tensor, v: float) -> Tensor:
    """½ v Σ_i ‖u_i‖² a_iᵀ C a_i, C = mean x xᵀ: half squared error of x A U, dropout between (Mianjy et al. 2018)."""
    second = torch.stack([torch.outer(x, x) for x in xs]).mean(0)
    return v / 2 * sum(u[i].square().sum() * (a[:, i] @ second @ a[:, i]) for i in range(len(u)))


def linear_layers(weights: list[Tensor], xs: Tensor, v: float, sizes: Iterable[int]) -> Tensor:
    """Half squared error of x W₁ W₂ …, dropout before each: ½ Σ_S v^|S| Σ (paths summed between the layers of S, squared).

    ``sizes`` says which |S| are summed over; all from 1 on give R.
    """
    total = torch.zeros((), dtype=xs.dtype)
    for size in sizes:
        for chosen in combinations(range(len(weights)), size):
            paths, squares = xs, None
            for layer, weight in enumerate(weights):
                if layer in chosen:
                    squares = paths.square() if squares is None else squares @ paths.square()
                    paths = torch.eye(len(weight), dtype=xs.dtype)
                paths = paths @ weight
            total = total + v**size / 2 * (squares @ paths.square()).sum(-1).mean()
    return total


def normal_nodes(n: int, order: int) -> tuple[Tensor, Tensor]:
    """Gauss–Hermite: weights (orderⁿ,) and places (orderⁿ, n) that integrate over n standard normal numbers."""
    places, weights = np.polynomial.hermite_e.hermegauss(order)
    grid = torch.tensor(list(product(places, repeat=n)))
    return torch.tensor(list(product(weights / weights.sum(), repeat=n))).prod(-1), grid
