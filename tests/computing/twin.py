"""Slow, obvious twins for anybody's module: its dropout replaced on torch's side, every derivative in ε a full matrix.

Nothing here knows the library's formulas. A mask is shared where torch shares it, so a coordinate of ε may act on many rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.autograd.functional import hessian as full_hessian
from torch.autograd.functional import jacobian as full_jacobian

from tests import reference
from tests.computing.asked import instead
from tests.computing.foreign import Net, weight_drop
from tests.computing.tiny import Tiny

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}


@dataclass
class Twin:
    """A model with a minibatch, as a function of one long ε.

    ``row_loss(z, y)`` is the loss of one row; ``weight`` (N,) weighs the rows in the mean.
    """

    model: nn.Module
    x: Any
    y: Tensor
    row_loss: Callable[[Tensor, Tensor], Tensor] = reference.loss
    weight: Tensor | None = None
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    ps: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        def note(h: Tensor, p: float, shape: tuple[int, ...]) -> Tensor:
            self.shapes.append(tuple(shape) or tuple(h.shape))
            self.ps.append(p)
            return h

        with torch.no_grad(), instead(note):
            self.model(self.x)

    @property
    def units(self) -> int:
        """n, the length of ε."""
        return sum(self.sizes)

    @property
    def sizes(self) -> list[int]:
        return [torch.Size(shape).numel() for shape in self.shapes]

    def variances(self) -> Tensor:
        """v of each coordinate of ε: (n,)."""
        parts = [
            torch.full((size,), reference.variance(p), dtype=torch.float64)
            for size, p in zip(self.sizes, self.ps, strict=True)
        ]
        return torch.cat(parts)

    def logits(self, epsilon: Tensor) -> Tensor:
        """z(ε): (N, C)."""
        parts = iter(
            part.reshape(shape) for part, shape in zip(epsilon.split(self.sizes), self.shapes, strict=True)
        )
        with instead(lambda h, p, shape: h * (1 + next(parts))):
            z = self.model(self.x)
        return z.reshape(-1, z.shape[-1])

    def loss(self, epsilon: Tensor) -> Tensor:
        """ℓ(z(ε)), mean over rows."""
        return self.mean([self.row_loss(z, y) for z, y in self.rows(self.logits(epsilon))])

    def rows(self, z: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Logits and target of each row: a label, or numbers."""
        return list(
            zip(z, self.y.flatten(0, -2) if self.y.is_floating_point() else self.y.flatten(), strict=True)
        )

    def mean(self, rows: list[Tensor]) -> Tensor:
        """Over the rows, by their weights."""
        weight = torch.ones(len(rows)) if self.weight is None else self.weight.flatten()
        return sum(w * row for w, row in zip(weight.double(), rows, strict=True)) / weight.double().sum()

    def still(self) -> Tensor:
        """ε = 0."""
        return torch.zeros(self.units, dtype=torch.float64)

    def shares(self, *, constant: bool = False) -> Tensor:
        """R_approx of each coordinate of ε, mean over rows: (n,), differentiable in the parameters."""
        jacobian = full_jacobian(self.logits, self.still(), create_graph=True)
        curvatures = [
            full_hessian(lambda at, y=y: self.row_loss(at, y), z, create_graph=True)
            for z, y in self.rows(self.logits(self.still()))
        ]
        curvatures = [h.detach() for h in curvatures] if constant else curvatures
        traces = [
            (row.T @ curvature @ row).diagonal() for row, curvature in zip(jacobian, curvatures, strict=True)
        ]
        return self.variances() / 2 * self.mean(traces)

    def second_order(self) -> Tensor:
        """½ Σ v ∂²ℓ/∂ε²."""
        return (self.variances() / 2 * full_hessian(self.loss, self.still()).diagonal()).sum()

    def every_mask(self) -> tuple[Tensor, Tensor]:
        """All 2ⁿ masks of one p: probabilities and ε."""
        assert len(set(self.ps)) == 1
        return reference.every_mask(self.units, self.ps[0])

    def parameters(self) -> list[Tensor]:
        return list(self.model.parameters())

    def gradient(self, value: Tensor) -> Tensor:
        """∂ value / ∂ W, all parameters in one vector: (P,)."""
        return flat(grad(value, self.parameters(), retain_graph=True, materialize_grads=True))

    def mask_covariance(self) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the dropout gradient over all masks: (P,), (P, P)."""
        probabilities, masks = self.every_mask()
        gradients = torch.stack([self.gradient(self.loss(mask)) for mask in masks])
        mean = probabilities @ gradients
        centred = gradients - mean
        return mean, centred.T @ (probabilities[:, None] * centred)

    def noise_covariance(self) -> Tensor:
        """Cov of ∇_W ∇ℓᵀJη over independent η of variance v: (P, P)."""
        epsilon = self.still().requires_grad_()
        slopes = grad(self.loss(epsilon), epsilon, create_graph=True)[0]
        columns = torch.stack([self.gradient(slope) for slope in slopes])
        return columns.T @ (self.variances()[:, None] * columns)


def flat(parts: Any) -> Tensor:
    """Tensors, or a dictionary of them, as one vector."""
    return torch.cat([part.flatten() for part in (parts.values() if isinstance(parts, dict) else parts)])


def module_of(net: Tiny, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """The tiny net written in torch's own layers, with the same weights."""
    layers: list[nn.Module] = []
    used = 0
    sites = net.model.sites()
    for layer, (inputs, outputs) in enumerate(pairwise(net.net.sizes)):
        if layer:
            layers.append(ACTIVATIONS[net.model.activation]())
        if (f"hidden{layer}" if layer else "input") in sites:
            layers.append(nn.Dropout(net.p))
        linear = nn.Linear(inputs, outputs, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(net.w[used : used + inputs * outputs].reshape(inputs, outputs).T)
            used += inputs * outputs
            linear.bias.copy_(net.w[used : used + outputs])
            used += outputs
        layers.append(linear)
    return nn.Sequential(*layers).to(dtype)


def as_vector(model: nn.Sequential, gradients: dict[str, Tensor] | None = None) -> Tensor:
    """Gradients (by name; else those in ``.grad``) in the order of the reference's w: weights (in, out), then biases."""
    found = gradients or {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in model.named_parameters()
    }
    return torch.cat([part.T.flatten() if part.ndim == 2 else part for part in found.values()])


def sequence(net: Any, x: Tensor) -> Tensor:
    """A step's logits see the dropped units of all earlier steps."""
    return net.last(net.drop(net.first(x).tanh()).cumsum(net.time).tanh())


def dense(net: Any, x: Tensor) -> Tensor:
    """Logits for each pixel; a channel's mask acts on all of them."""
    h = net.drop(net.conv(x).tanh()) + x[:, :1]
    return net.last(h.flatten(2).transpose(1, 2))


def pooled(net: Any, x: Tensor) -> Tensor:
    h = net.conv(x).tanh()
    return net.last((net.drop(h) + h).mean((2, 3)))


def coupled(net: Any, x: Tensor) -> Tensor:
    """Every row's logits depend on the dropped units of every row."""
    h = net.drop(net.first(x).tanh())
    return net.last(h + 0.3 * h.mean(0))


class Timed(Net):
    """A net that knows which axis is time."""

    def __init__(self, time: int, **layers: nn.Module) -> None:
        super().__init__(sequence, **layers)
        self.time = time


def conv() -> nn.Module:
    return nn.Conv2d(1, 2, 2)


SHARED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = {
    "sequence, batch first": (
        lambda: Timed(1, first=nn.Linear(2, 2), drop=nn.Dropout(0.25), last=nn.Linear(2, 3)),
        (2, 3, 2),
        (2, 3),
    ),
    "sequence, time first": (
        lambda: Timed(0, first=nn.Linear(2, 2), drop=nn.Dropout(0.25), last=nn.Linear(2, 3)),
        (3, 2, 2),
        (3, 2),
    ),
    "pixels under channel dropout": (
        lambda: Net(dense, conv=nn.Conv2d(1, 2, 1), drop=nn.Dropout2d(0.25), last=nn.Linear(2, 3)),
        (2, 1, 2, 2),
        (2, 4),
    ),
    "pooled channel dropout": (
        lambda: Net(pooled, conv=conv(), drop=nn.Dropout2d(0.25), last=nn.Linear(2, 3)),
        (3, 1, 3, 3),
        (3,),
    ),
    "weight drop": (
        lambda: Net(weight_drop, first=nn.Linear(2, 3), last=nn.Linear(3, 3)),
        (4, 2),
        (4,),
    ),
    "coupled rows": (
        lambda: Net(coupled, first=nn.Linear(2, 2), drop=nn.Dropout(0.25), last=nn.Linear(2, 3)),
        (3, 2),
        (3,),
    ),
}


def shared(name: str) -> Twin:
    """A net whose rows share masks (or seem to), with a minibatch, float64."""
    build, inputs, labels = SHARED[name]
    random = torch.Generator().manual_seed(0)
    model = build().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random, dtype=torch.float64))
    x = torch.randn(inputs, generator=random, dtype=torch.float64)
    return Twin(model, x, torch.randint(3, labels, generator=random))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Chosen:
    """Random numbers that were chosen beforehand, in the place of those that a library object draws."""

    def __init__(
        self,
        *,
        epsilon: Tensor | None = None,
        signs: dict[str, Tensor] | None = None,
        outputs: Tensor | None = None,
        uniform: Tensor | None = None,
    ) -> None:
        self.epsilon, self.site_signs, self.outputs, self.uniform = epsilon, signs, outputs, uniform
        self.replicas, self.seen = (0 if epsilon is None else len(epsilon)), 0

    def draw(self, site: Any) -> Tensor:
        """1 + ε of the next site of a module, replica by replica out of ``epsilon`` (R, n)."""
        size = torch.Size(site.mask_shape).numel()
        flat = self.epsilon.flatten()[self.seen : self.seen + size]
        self.seen += size
        return 1 + flat.view(site.mask_shape)

    def signs(self) -> dict[str, Tensor]:
        return self.site_signs

    def output_signs(self, count: int) -> Tensor:
        return self.outputs

    def uniforms(self, count: int) -> Tensor:
        return self.uniform

    def sample(self, index: int) -> Chosen:
        return self


def every_sign(n: int) -> Tensor:
    """All patterns of n signs: (2ⁿ, n)."""
    return torch.tensor(list(product((-1.0, 1.0), repeat=n)), dtype=torch.float64)


def every_labelling(likely: Tensor) -> tuple[Tensor, Tensor]:
    """All labels of N rows, drawn from the model's probabilities (N, C): probabilities (Cᴺ,), and numbers in (0, 1) (Cᴺ, N)
    that choose these labels by the inverse of the distribution function.
    """
    patterns = torch.tensor(list(product(range(likely.shape[-1]), repeat=len(likely))))
    middle = (likely.cumsum(-1) - likely / 2).double()
    rows = torch.arange(len(likely))
    return likely.double()[rows, patterns].prod(-1), middle[rows, patterns]
