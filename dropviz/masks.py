"""Mask space: a network is a function of its parameters, its input and of ε at every dropout site.

Dropout at a site replaces h by h ⊙ (1 + ε), with ε = −1 with probability p and p/(1 − p) otherwise, so that
E ε = 0 and Var ε = p/(1 − p). A network calls ``behaviour(h, site)`` at each site; the behaviours of this
module leave h alone, multiply it by drawn masks, or make it a place to differentiate at.

Most sites have an ε for every number of h. Those that share one along some axes of h say so with ``shared``: a locked
mask along time, channel dropout along an image, embedding dropout along the numbers of a word. What is dropped may also be
a ``weight``, with one mask for the whole minibatch: weight drop, embedding dropout.

Shapes: S seeds, R replicas (independent mask draws), B examples of a minibatch, W units of a site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dropviz.losses import OutputNumbers
from dropviz.philox import Words
from dropviz.streams import MOST_STEPS, BitStreams

LEVELS = 2**16  # a 16-bit fraction decides about a unit, so p is a multiple of 1/65,536


class SiteBehaviour(Protocol):
    """What happens at a dropout site."""

    def __call__(self, h: Tensor, site: str, *, shared: tuple[int, ...] = (), weight: bool = False) -> Tensor:
        """h ⊙ (1 + ε).

        Args:
            h: (S, examples, …), or with ``weight`` a parameter (S, …).
            site: Its name.
            shared: Axes of h along which there is one ε.
            weight: Whether h is a parameter, so that its ε is one for all examples.
        """
        ...


def rounded(p: float) -> float:
    """The multiple of 1/65,536 that is nearest to p and below 1: the probability that is really used."""
    return min(round(p * LEVELS), LEVELS - 1) / LEVELS


def variance(p: float) -> float:
    """Var ε = p / (1 − p) at the rounded p."""
    p = rounded(p)
    return p / (1 - p)


def keep_all(h: Tensor, site: str, *, shared: tuple[int, ...] = (), weight: bool = False) -> Tensor:
    """ε = 0: the plain network."""
    return h


class Only:
    """A behaviour at some sites; the others keep all."""

    def __init__(self, behaviour: SiteBehaviour, sites: Iterable[str]) -> None:
        self.behaviour, self.sites = behaviour, frozenset(sites)

    def __call__(self, h: Tensor, site: str, *, shared: tuple[int, ...] = (), weight: bool = False) -> Tensor:
        """As the behaviour has it, or h itself."""
        return self.behaviour(h, site, shared=shared, weight=weight) if site in self.sites else h


class Multiply:
    """ε as drawn: h ⊙ factor, for factors (S, R, B, …) by site, or (S, R, …) of a weight, of size 1 on shared axes.

    Before the first site the R replicas are the same, so that part of the network runs once on B rows; the
    first site spreads it to R·B rows, replica by replica. A weight becomes R weights, in the place of seeds: (S·R, …).
    """

    def __init__(self, factors: Mapping[str, Tensor], replicas: int = 1) -> None:
        self.factors, self.replicas = factors, replicas

    def __call__(self, h: Tensor, site: str, *, shared: tuple[int, ...] = (), weight: bool = False) -> Tensor:
        """(S, B or R·B, …) → (S, R·B, …); of a weight (S, …) → (S·R, …)."""
        factor = self.factors[site]
        if weight:
            return (h.unsqueeze(1) * factor).flatten(0, 1)
        if factor.shape[1] > 1 and h.shape[1] == factor.shape[2]:
            return (h.unsqueeze(1) * factor).flatten(1, 2)
        return h * factor.flatten(1, 2)


class Watch:
    """ε = 0, with a fresh view of h at each site to differentiate at.

    ∂/∂ε_j = h_j ∂/∂h_j, taken at the view and not at h itself: else a skip connection around the site would
    leak into the derivative. The factor h_j is the h before the view: a second derivative in the same ε leaves it alone.
    """

    def __init__(self) -> None:
        self.before: dict[str, Tensor] = {}
        self.views: dict[str, Tensor] = {}
        self.shared: dict[str, tuple[int, ...]] = {}

    def __call__(self, h: Tensor, site: str, *, shared: tuple[int, ...] = (), weight: bool = False) -> Tensor:
        """Record h and a view of it, and pass that on."""
        view = h.view_as(h)
        if not view.requires_grad:
            view = view.detach().requires_grad_()
        self.before[site], self.views[site] = h, view
        self.shared[site] = tuple(
            axis - h.ndim for axis in shared
        )  # from the end: a gradient may have more axes
        return view

    def slope(self, site: str, gradient: Tensor) -> Tensor:
        """The derivative in ε of that site, from the one in its view; of size 1 on shared axes."""
        product, shared = gradient * self.before[site], self.shared[site]
        return product.sum(shared, keepdim=True) if shared else product

    def moved(self, site: str, epsilon: Tensor) -> Tensor:
        """How far ε moves what the site passes on: h ⊙ ε, in the shape of the view."""
        return self.before[site] * epsilon


class Record:
    """ε = 0, writing down the shape of ε at each site.

    ``shapes``: of one seed, the examples first, of size 1 on shared axes. ``weights``: the sites that drop a parameter.
    """

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.weights: set[str] = set()

    def __call__(self, h: Tensor, site: str, *, shared: tuple[int, ...] = (), weight: bool = False) -> Tensor:
        """Note the shape without the seed axis."""
        sizes = (1 if axis in shared else size for axis, size in enumerate(h.shape))
        self.shapes[site] = tuple(sizes)[1:]
        if weight:
            self.weights.add(site)
        return h

    def mask_shapes(self, examples: int) -> dict[str, tuple[int, ...]]:
        """The same with so many examples."""
        return {
            site: shape if site in self.weights else (examples, *shape[1:])
            for site, shape in self.shapes.items()
        }


class Fractions:
    """16-bit fractions, uniform on −32,768 … 32,767, from raw bits: (S, P, *shape) at every step.

    The same address (seed, purpose, step) gives the same numbers on every device and beside any neighbours.
    Cost: 1–1.5 ns an element on a CPU, where drawing by ``F.dropout`` takes 13–20.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        purposes: Sequence[str],
        shape: Sequence[int],
        *,
        device: str = "cpu",
        ahead: int = MOST_STEPS,
    ) -> None:
        self.shape = tuple(shape)
        self.elements = int(np.prod(self.shape))
        self.words = Words(BitStreams(seeds, purposes, -(-self.elements // 4), ahead=ahead), device)

    def buffer(self, step: int) -> Tensor:
        """Those of ``step`` and of the steps that follow, where ``Words`` are: (steps, S, P, *shape) of int16."""
        words = self.words.buffer(step)
        return words.view(torch.int16)[..., : self.elements].reshape(*words.shape[:3], *self.shape)


class Stream:
    """Fractions turned into what a step needs, a buffer of steps at a time."""

    def __init__(self, fractions: Fractions, convert: Callable[[Tensor], Tensor], device: str) -> None:
        self.fractions, self.convert, self.device = fractions, convert, device
        self.first = 0
        self.values: tuple[Tensor, ...] = ()

    def at(self, step: int) -> Tensor:
        """The values of this step: (S, P, *shape)."""
        if not self.first <= step < self.first + len(self.values):
            converted = self.convert(self.fractions.buffer(step))
            self.first, self.values = step, converted.to(self.device).unbind()
        return self.values[step - self.first]


def factors(p: float) -> Callable[[Tensor], Tensor]:
    """Fractions → 1 + ε: 0 with probability p, else 1 / (1 − p), at the rounded p."""
    threshold, scale = round(rounded(p) * LEVELS) - LEVELS // 2, 1 / (1 - rounded(p))

    def convert(fractions: Tensor) -> Tensor:
        kept = torch.empty_like(fractions, dtype=torch.float32)
        return torch.ge(fractions, threshold, out=kept).mul_(
            scale
        )  # booleans in between cost five times as much

    return convert


def signs(fractions: Tensor) -> Tensor:
    """Fractions → ±1, each with probability ½."""
    return (fractions >> 15).bitwise_or_(1).to(torch.float32)  # of negative ones: −1; of others: 0 | 1


def uniforms(fractions: Tensor) -> Tensor:
    """Pairs of fractions (…, 2) → numbers in (0, 1) with a grain of 2⁻³², float64: rare labels are drawn too."""
    high, low = fractions.to(torch.float64).add_(LEVELS // 2).unbind(-1)
    return (high * LEVELS + low + 0.5) / LEVELS**2


def gaussians(p: float) -> Callable[[Tensor], Tensor]:
    """Pairs of fractions (…, 2) → 1 + ε with ε normal, of mean 0 and the variance that dropout's has."""
    spread = sqrt(variance(p))
    return lambda fractions: torch.special.ndtri(uniforms(fractions)).mul_(spread).add_(1).to(torch.float32)


class RandomNumbers(OutputNumbers, Protocol):
    """What the terms of a step draw: S seeds, R replicas; shapes as in ``Draws``."""

    def masks(self, replicas: int) -> Mapping[str, Tensor]:
        """1 + ε by site, as dropout has it."""
        ...

    def gaussian_masks(self, replicas: int) -> Mapping[str, Tensor]:
        """1 + ε by site, ε normal with the same variance."""
        ...

    def signs(self) -> dict[str, Tensor]:
        """±1 by site."""
        ...

    def sample(self, index: int) -> RandomNumbers:
        """Numbers that are independent of those of other samples of the same step; the first sample has these here."""
        ...


class Draws:
    """Every random number of a step, by purpose; ``step`` says which one.

    Args:
        seeds: One independent group of streams a seed.
        shapes: Site → the shape of ε, as ``Record`` finds them: (B, W), of a weight (…).
        p: Drop probability of every site, or of each.
        rows: N, the rows of logits; by default B of the first site.
        purpose: Prefix of the addresses: training and each statistic draw from streams of their own.
        device: Where the tensors go.
        ahead: The most steps to draw at once; 1 where no other step will be asked for.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        shapes: Mapping[str, tuple[int, ...]],
        p: float | Mapping[str, float],
        *,
        rows: int | None = None,
        purpose: str = "train",
        device: str = "cpu",
        ahead: int = MOST_STEPS,
    ) -> None:
        self.seeds, self.shapes = tuple(seeds), dict(shapes)
        self.p = dict(p) if isinstance(p, Mapping) else dict.fromkeys(shapes, p)
        self.rows = next(iter(self.shapes.values()))[0] if rows is None else rows
        self.purpose, self.device, self.ahead = purpose, device, ahead
        self.step = 0
        self._streams: dict[tuple[str, int, tuple[int, ...]], Stream] = {}
        self._of_sites: dict[tuple[str, int], dict[str, Stream]] = {}
        self._samples: dict[int, Draws] = {0: self}

    def masks(self, replicas: int) -> dict[str, Tensor]:
        """1 + ε by site: (S, R, B, W), of a weight (S, R, …). Replica r of any R is the same draw, so arms share their masks."""
        return self._at_sites("mask", replicas, factors)

    def gaussian_masks(self, replicas: int) -> dict[str, Tensor]:
        """1 + ε by site with ε normal: (S, R, B, W)."""
        return self._at_sites("gaussian", replicas, gaussians, 2)

    def signs(self) -> dict[str, Tensor]:
        """η / √v by site: ±1, (S, B, W)."""
        found = self._at_sites("sign", 1, lambda p: signs)
        return {site: values[:, 0] for site, values in found.items()}

    def output_signs(self, count: int) -> Tensor:
        """u of the root-Hessian estimator: ±1, (S, N, count)."""
        return self.rademacher("class-sign", (self.rows, count))

    def sample(self, index: int) -> Draws:
        """Streams of their own for each index, at this step."""
        if index not in self._samples:
            self._samples[index] = Draws(
                self.seeds,
                self.shapes,
                self.p,
                rows=self.rows,
                purpose=f"{self.purpose}/sample-{index}",
                device=self.device,
                ahead=self.ahead,
            )
        self._samples[index].step = self.step
        return self._samples[index]

    def rademacher(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """±1 of any shape, for probes in parameter space: (S, *shape)."""
        return self._stream(name, 1, signs, shape).at(self.step)[:, 0]

    def uniforms(self, count: int) -> Tensor:
        """Numbers in (0, 1), to draw labels by: (S, N, count)."""
        return self._stream("label", 1, uniforms, (self.rows, count, 2)).at(self.step)[:, 0]

    def _at_sites(
        self,
        kind: str,
        count: int,
        convert: Callable[[float], Callable[[Tensor], Tensor]],
        *grain: int,
    ) -> dict[str, Tensor]:
        """A stream for each site, of ``grain`` fractions a number; found once, as every step asks for them."""
        key = (kind, count)
        if key not in self._of_sites:
            self._of_sites[key] = {
                site: self._stream(f"{kind}/{site}", count, convert(self.p[site]), (*shape, *grain))
                for site, shape in self.shapes.items()
            }
        return {site: stream.at(self.step) for site, stream in self._of_sites[key].items()}

    def _stream(
        self, name: str, count: int, convert: Callable[[Tensor], Tensor], shape: tuple[int, ...]
    ) -> Stream:
        key = (name, count, shape)
        if key not in self._streams:
            purposes = [f"{self.purpose}/{name}/{replica}" for replica in range(count)]
            fractions = Fractions(self.seeds, purposes, shape, device=self.device, ahead=self.ahead)
            self._streams[key] = Stream(fractions, convert, self.device)
        return self._streams[key]
