"""R_approx of a module by each estimator, from one differentiable forward pass; and which rows may be differentiated at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from math import sqrt
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.autograd import grad
from torch.nn import functional

from dropviz.losses import cross_entropy, root_hessian
from dropviz.modules.measured import at_least
from dropviz.modules.network import Epsilon, ModuleNetwork
from dropviz.regularizers import sample_label

Estimator = Literal["auto", "exact", "root_hessian", "forward", "sampled_label"]
Hessian = Literal["differentiated", "constant"]
DIGIT = 16  # blocks of rows that one pass tells apart
EXACT_UP_TO = 10  # classes: with more, one random pass costs less than one a class


class Shares:
    """R_approx by site, from one differentiable forward pass."""

    def __init__(self, asked: ModuleNetwork, z: Tensor, watch: Epsilon, hessian: str) -> None:
        self.asked, self.z, self.watch, self.constant = asked, z, watch, hessian == "constant"
        self.draws, self.variances = asked.draws, asked.variances
        known_hessian(hessian)

    def by(self, estimator: str, samples: int) -> dict[str, Tensor]:
        """Site name → share, by an estimator."""
        at_least("samples", samples, 1)
        if estimator == "auto":
            few = self.z.shape[2] <= EXACT_UP_TO and int(passes(self.asked, self.z, self.watch).max()) == 0
            estimator = "exact" if few else "root_hessian"
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
        place = passes(self.asked, self.z, self.watch)
        for step in range(int(place.max()) + 1):
            rows = (place == step).to(self.z.dtype)
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


def known_hessian(hessian: str) -> None:
    """Refuse a way to treat the Hessian that does not exist.

    Raises:
        ValueError: It is neither of the two.
    """
    if hessian not in get_args(Hessian):
        raise ValueError(f"hessian = {hessian!r} is not possible: choose {' or '.join(get_args(Hessian))}.")


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


def passes(asked: ModuleNetwork, z: Tensor, watch: Epsilon) -> Tensor:
    """In which pass each row can be differentiated, so that no coordinate of ε acts on two rows of a pass: from 0, (N,).

    Found out, not assumed. Let the rows fall into blocks: each row by itself, or all that stand at one place of an axis of
    the logits (an example's, whichever axis that is). Scaling the blocks by numbers of their own scales the derivative in a
    coordinate by one of those numbers if it acts within one block, and in general only then. So one row of each block can
    go into a pass. Cost: a backward pass, and one for each hexadecimal digit of the number of blocks, for each kind of block.
    """
    rows = torch.arange(z.shape[1], device=z.device)
    if _acts_within(z, watch, rows):
        return torch.zeros_like(rows)
    for block in asked.axes if len(asked.axes) > 1 else []:
        if _acts_within(z, watch, block):
            seen: dict[int, count[int]] = {}
            return torch.tensor(
                [next(seen.setdefault(of, count())) for of in block.tolist()], device=z.device
            )
    return rows


def _acts_within(z: Tensor, watch: Epsilon, block: Tensor) -> bool:
    """Whether each coordinate of ε acts on rows of one block only.

    The numbers are few, 1 to 31/16, so that float32 can tell them from a mixture however many blocks there are.
    """
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn(z.shape, generator=random, dtype=torch.float64).to(z)
    views = list(watch.views.values())
    plain = grad(z, views, outputs, retain_graph=True)
    tolerance, left = 1e3 * torch.finfo(z.dtype).eps, block
    while bool((left > 0).any()):
        scales = 1 + (left % DIGIT).to(z.dtype) / DIGIT
        scaled = grad(z, views, outputs * scales[None, :, None], retain_graph=True)
        for one, other in zip(plain, scaled, strict=True):
            there = one.abs() > one.abs().max() / 100
            ratio = other[there] / one[there]
            wrong = ((ratio * DIGIT).round() / DIGIT - ratio).abs() > tolerance
            if bool((wrong | (ratio > 2 - 0.5 / DIGIT) | (ratio < 1 - 0.5 / DIGIT)).any()):
                return False
        left = left // DIGIT
    return True
