"""R_approx of a module by each estimator, from one differentiable forward pass; and which rows may be differentiated at once."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Literal

import torch
from torch import Tensor
from torch.autograd import grad
from torch.nn import functional

from dropviz.losses import cross_entropy, root_hessian
from dropviz.modules.network import Epsilon, ModuleNetwork
from dropviz.regularizers import sample_label

Estimator = Literal["auto", "exact", "root_hessian", "forward", "sampled_label"]
Hessian = Literal["differentiated", "constant"]
EXACT_UP_TO = 10  # classes: with more, one random pass costs less than one a class


class Shares:
    """R_approx by site, from one differentiable forward pass."""

    def __init__(self, asked: ModuleNetwork, z: Tensor, watch: Epsilon, hessian: str) -> None:
        self.asked, self.z, self.watch, self.constant = asked, z, watch, hessian == "constant"
        self.draws = asked.draws(z)
        self.variances = asked.variances

    def by(self, estimator: str, samples: int) -> dict[str, Tensor]:
        """Site name → share, by an estimator."""
        if estimator == "auto":
            groups = _groups(self.asked, self.z, self.watch) if self.z.shape[2] <= EXACT_UP_TO else []
            estimator = "exact" if len(groups) == 1 else "root_hessian"
        one = {"exact": self.exact, "root_hessian": self.root_hessian, "forward": self.forward}
        one["sampled_label"] = self.sampled_label
        if estimator not in one:
            raise ValueError(f"{estimator!r} is not an estimator: choose auto, {', '.join(one)}.")
        if estimator == "exact":
            return self.exact()
        draws = [one[estimator]() for _ in range(samples)]
        return {name: torch.stack([draw[name] for draw in draws]).mean(0) for name in self.variances}

    def exact(self) -> dict[str, Tensor]:
        """Σ_k ½ v ‖∂(ℓ_kᵀz)/∂ε‖² with ℓ_k = √p_k (e_k − p), whose outer products sum to H_out."""
        log_p = self.z.log_softmax(-1)
        p, root = log_p.exp(), (0.5 * log_p).exp()
        basis = torch.eye(self.z.shape[2], dtype=self.z.dtype, device=self.z.device)
        parts = []
        for rows in _groups(self.asked, self.z, self.watch):
            for k in range(self.z.shape[2]):
                factor = root[..., k : k + 1] * (basis[k] - p) * rows[:, None]
                parts.append(self._squares(factor.detach() if self.constant else factor))
        return {name: torch.stack([part[name] for part in parts]).sum(0) for name in self.variances}

    def root_hessian(self) -> dict[str, Tensor]:
        """One draw of w with E wwᵀ = H_out."""
        w = root_hessian(self.z, self.draws.class_signs())
        return self._squares(w.detach() if self.constant else w)

    def sampled_label(self) -> dict[str, Tensor]:
        """One label a row; differentiated with the score function of all rows together, which may share masks."""
        p = self.z.softmax(-1)
        label = sample_label(p.detach(), self.draws.uniforms())
        found = self._squares(functional.one_hot(label, p.shape[-1]).to(p.dtype) - p)
        if self.constant:
            return found
        log_p = -cross_entropy(self.z, label).sum()
        return {name: value + value.detach() * (log_p - log_p.detach()) for name, value in found.items()}

    def forward(self) -> dict[str, Tensor]:
        """½ żᵀH_outż with ż = Jη, a direction of its own for each site."""
        signs = self.draws.signs()
        found = {}
        for name, v in self.variances.items():
            moved = tangent(self.z, {name: self.watch.views[name]}, {name: sqrt(v) * signs[name]})
            found[name] = quadratic(self.z, moved, constant=self.constant).mean() / 2
        return found

    def _squares(self, outputs: Tensor) -> dict[str, Tensor]:
        slopes = grad(self.z, list(self.watch.views.values()), outputs, create_graph=True)
        return {
            name: self.variances[name] / 2 * slope.square().sum() / self.z.shape[1]
            for name, slope in zip(self.watch.views, slopes, strict=True)
        }


def tangent(z: Tensor, views: Mapping[str, Tensor], direction: Mapping[str, Tensor]) -> Tensor:
    """Jη by two backward passes, the second through the first: (1, N, C)."""
    u = torch.zeros_like(z, requires_grad=True)
    slopes = grad(z, list(views.values()), u, create_graph=True)
    product = torch.stack(
        [(slope * direction[name]).sum() for name, slope in zip(views, slopes, strict=True)]
    )
    return grad(product.sum(), u, create_graph=True)[0]


def quadratic(z: Tensor, tangent: Tensor, *, constant: bool = False) -> Tensor:
    """żᵀ H_out ż of each row: the variance of ż under the softmax (1, N)."""
    p = z.softmax(-1)
    p = p.detach() if constant else p
    mean = (p * tangent).sum(-1, keepdim=True)
    return (p * (tangent - mean).square()).sum(-1)


def _groups(asked: ModuleNetwork, z: Tensor, watch: Epsilon) -> list[Tensor]:
    """Rows that can be differentiated at once, because no coordinate of ε acts on two of them: 0/1 vectors (N,).

    Found out, not assumed: where each coordinate acts on one row (one example) alone, scaling the rows (the examples) by
    numbers of their own scales its derivative by just one of them. Cost: two backward passes a try.
    """
    count = z.shape[1]
    every = torch.arange(count, device=z.device)
    if _acts_within(z, watch, every):
        return [torch.ones(count, dtype=z.dtype, device=z.device)]
    steps = asked.rows_of_an_example
    if steps > 1 and _acts_within(z, watch, every // steps):
        return [(every % steps == step).to(z.dtype) for step in range(steps)]
    return [(every == row).to(z.dtype) for row in range(count)]


def _acts_within(z: Tensor, watch: Epsilon, block: Tensor) -> bool:
    blocks = int(block.max()) + 1
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(z.shape, generator=generator, dtype=torch.float64).to(z)
    scales = 1 + torch.rand(blocks, generator=generator, dtype=torch.float64).to(z)
    views = list(watch.views.values())
    plain = grad(z, views, outputs, retain_graph=True)
    scaled = grad(z, views, outputs * scales[block][None, :, None], retain_graph=True)
    ordered = scales.sort().values
    tolerance = 1e3 * torch.finfo(z.dtype).eps
    for one, other in zip(plain, scaled, strict=True):
        there = one.abs() > one.abs().max() * 1e-3
        ratio = (other[there] / one[there]).contiguous()
        right = torch.searchsorted(ordered, ratio).clamp(max=blocks - 1)
        nearest = torch.minimum(
            (ordered[right] - ratio).abs(), (ordered[(right - 1).clamp(min=0)] - ratio).abs()
        )
        if bool((nearest > tolerance).any()):
            return False
    return True
