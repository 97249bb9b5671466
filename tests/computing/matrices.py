"""Slow, obvious twins for curvature: full matrices in float64, by torch's own derivatives of the parameters as one vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian as full_hessian
from torch.autograd.functional import jacobian as full_jacobian
from torch.func import functional_call
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from tests.computing.foreign import Net
from tests.computing.twin import flat

RowLoss = Callable[[Tensor, Tensor], Tensor]

ROW_LOSSES: dict[str, RowLoss] = {
    "cross_entropy": lambda z, y: functional.cross_entropy(z[None], y[None]),
    "half_squared_error": lambda z, y: (z - y).square().sum() / 2,
    "binary_cross_entropy": lambda z, y: functional.binary_cross_entropy_with_logits(z, y, reduction="sum"),
}


@dataclass
class Curved:
    """A model in eval mode with a minibatch, as a function of one long parameter vector."""

    model: nn.Module
    x: Any
    y: Tensor
    loss: str = "cross_entropy"
    weights: Tensor | None = None  # of the rows, any scale

    @property
    def arguments(self) -> tuple[nn.Module, Any, Tensor]:
        return self.model, self.x, self.y

    @property
    def named(self) -> dict[str, Tensor]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    @property
    def count(self) -> int:
        return sum(parameter.numel() for parameter in self.named.values())

    @property
    def start(self) -> Tensor:
        return flat(list(self.named.values())).detach()

    def by_name(self, vector: Tensor) -> dict[str, Tensor]:
        parts = vector.split([parameter.numel() for parameter in self.named.values()])
        return {name: part.view(p.shape) for (name, p), part in zip(self.named.items(), parts, strict=True)}

    def logits(self, w: Tensor) -> Tensor:
        """(N, C)."""
        with sdpa_kernel(SDPBackend.MATH):
            z = functional_call(self.model, self.by_name(w), (self.x,))
        return z.reshape(-1, z.shape[-1])

    def rows(self) -> list[tuple[float, Tensor]]:
        """Weight in the mean, and target, of each row."""
        classes = self.loss == "cross_entropy"
        y = self.y.flatten() if classes else self.y.reshape(-1, self.y.shape[-1])
        weights = torch.ones(len(y), dtype=torch.float64) if self.weights is None else self.weights.flatten()
        return list(zip((weights / weights.sum()).tolist(), y, strict=True))

    def value(self, w: Tensor) -> Tensor:
        """ℓ, mean over rows."""
        row_loss = ROW_LOSSES[self.loss]
        rows = zip(self.logits(w), self.rows(), strict=True)
        return torch.stack([part * row_loss(z, y) for z, (part, y) in rows]).sum()

    @cached_property
    def hessian(self) -> Tensor:
        """(P, P)."""
        return full_hessian(self.value, self.start)

    @cached_property
    def ggn(self) -> Tensor:
        """Σ ω_i J_iᵀ H_i J_i: (P, P)."""
        row_loss, z = ROW_LOSSES[self.loss], self.logits(self.start)
        jacobian = full_jacobian(self.logits, self.start)
        found = torch.zeros(self.count, self.count, dtype=torch.float64)
        for row, at, (part, y) in zip(jacobian, z.detach(), self.rows(), strict=True):
            found += part * row.T @ full_hessian(lambda t, y=y: row_loss(t, y), at) @ row
        return found

    def matrix(self, name: str) -> Tensor:
        return self.hessian if name == "hessian" else self.ggn


def tokens(net: Any, x: Tensor) -> Tensor:
    found = net.layer(x)
    return net.last(found[0] if isinstance(found, tuple) else found)


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(3, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 3)
    )


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.5),
        nn.Conv2d(3, 2, 2),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


def lstm() -> nn.Module:
    return Net(tokens, layer=nn.LSTM(3, 3, 2, dropout=0.5, batch_first=True), last=nn.Linear(3, 3))


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 5, 0.5, batch_first=True)
    return Net(
        tokens, layer=nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), last=nn.Linear(4, 3)
    )


def attend(net: Any, x: Tensor) -> Tensor:
    """Of one head, in the shape that the fused kernels take."""
    q, k, v = net.first(x).unsqueeze(1).chunk(3, -1)
    return net.last(functional.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1))


def attention() -> nn.Module:
    return Net(attend, first=nn.Linear(3, 9), last=nn.Linear(3, 3))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = {
    "mlp": (mlp, (5, 3), (5,)),
    "cnn": (cnn, (4, 1, 5, 5), (4,)),
    "lstm": (lstm, (2, 4, 3), (2, 4)),
    "encoder": (encoder, (2, 3, 4), (2, 3)),
    "attention": (attention, (2, 4, 3), (2, 4)),
}


@cache
def curved(name: str) -> Curved:
    """One of ``NETS`` in float64 and eval mode; its matrices are computed once."""
    build, inputs, labels = NETS[name]
    torch.manual_seed(3)
    model = build().double().eval()
    with torch.no_grad():  # away from the small first weights, where the Hessian is nearly the GGN
        for parameter in model.parameters():
            parameter.mul_(1.5).add_(0.1 * torch.randn_like(parameter))
    return Curved(model, torch.randn(inputs, dtype=torch.float64), torch.randint(3, labels))
