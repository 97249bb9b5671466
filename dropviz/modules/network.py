"""Anybody's ``nn.Module`` as a function of mask space: what ``regularizers`` asks of a model, on top of ``sites``.

Shapes: N rows of logits (examples, or examples and time steps), C classes, R replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dropviz.masks import Multiply, SiteBehaviour, Watch, keep_all
from dropviz.regularizers import Network
from dropviz.sites import DropoutSite, Forward, SiteMode, dropout_sites, unchanged


class Epsilon(Watch):
    """ε itself as the place to differentiate at: h ⊙ (1 + ε) at ε = 0, in the shape that units share it."""

    def at(self, h: Tensor, site: DropoutSite) -> Tensor:
        """Multiply by 1 + ε, with a fresh ε."""
        epsilon = torch.zeros((1, *site.mask_shape), dtype=h.dtype, device=h.device, requires_grad=True)
        self.views[site.name] = epsilon
        return h * (1 + epsilon[0])

    def slope(self, site: str, gradient: Tensor) -> Tensor:
        """The derivative is one in ε already."""
        return gradient


class ModuleNetwork:
    """A model, an input and the sites between them, as a ``Network`` of one seed."""

    def __init__(
        self, model: nn.Module, x: Any, forward: Forward | None, generator: torch.Generator | None
    ) -> None:
        self.model, self.x = model, x
        self.call: Forward = forward or (lambda asked, inputs: asked(inputs))
        self.generator = generator
        self.rows_of_an_example = 1
        self.sites = {site.name: site for site in dropout_sites(model, x, forward=self.call)}
        if not self.sites:
            hint = "" if model.training else " It is in eval mode: call model.train()."
            raise ValueError(f"{type(model).__name__} performs no dropout on this input.{hint}")
        self.variances = {name: site.p / (1 - site.p) for name, site in self.sites.items()}

    def network(self, labels: Tensor) -> Network:
        """The model as a function of mask space."""
        return Network(forward=self.forward, y=labels, variances=self.variances, watch=Epsilon, by_row=False)

    def labels(self, y: Tensor, z: Tensor) -> Tensor:
        """Labels as (1, N), checked against the logits (1, N, C).

        Raises:
            ValueError: Their number or one of them does not fit.
        """
        if y.is_floating_point() or y.numel() != z.shape[1]:
            raise ValueError(
                f"y holds {y.numel()} labels of {y.dtype} for {z.shape[1]} rows of logits: give one whole number a row."
            )
        if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < z.shape[2]:
            raise ValueError(
                f"y goes from {y.min()} to {y.max()}: with {z.shape[2]} classes, labels are 0 to {z.shape[2] - 1}."
            )
        return y.reshape(1, -1)

    def probe(self) -> Tensor:
        """Logits at ε = 0 for their shape alone."""
        with torch.no_grad():
            return self.forward(keep_all)

    def masked(self, draws: ModuleDraws) -> Tensor:
        """Logits under one more mask."""
        return self.forward(Multiply(draws.masks(1)))

    def forward(self, behaviour: SiteBehaviour) -> Tensor:
        """Logits (1, N, C) under a behaviour; (1, R·N, C) under R masks."""
        if isinstance(behaviour, Multiply):
            replicas = next(iter(behaviour.factors.values())).shape[1]
            return torch.cat([self.run(_masked(behaviour.factors, r)) for r in range(replicas)], dim=1)
        if isinstance(behaviour, Epsilon):
            return self.run(behaviour.at)
        assert behaviour is keep_all
        return self.run(lambda h, site: h)

    def run(self, at_site: Callable[[Tensor, DropoutSite], Tensor]) -> Tensor:
        """One forward pass; every dropout call of the first pass has to come again, and no other."""
        expected = iter(self.sites.values())

        def checked(h: Tensor, called: DropoutSite) -> Tensor:
            site = next(expected, None)
            if site is None or (site.p, site.mask_shape) != (called.p, called.mask_shape):
                raise ValueError(
                    f"{called.name} was not called like this in an earlier pass over the same input."
                )
            return at_site(h, site)

        with unchanged(self.model), SiteMode(checked, lambda: type(self.model).__name__):
            z = self.call(self.model, self.x)
        if not isinstance(z, Tensor) or z.ndim < 2:
            found = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
            raise ValueError(
                f"The model returns {found}: logits (…, classes) are needed; name them with forward=."
            )
        if next(expected, None) is not None:
            raise ValueError("The model skipped a dropout call of an earlier pass over the same input.")
        self.rows_of_an_example = z[0].numel() // z.shape[-1]
        if not z.isfinite().all():
            raise ValueError(
                "The model's logits are not finite: look for an overflow or a NaN in its input or weights."
            )
        return z.reshape(1, -1, z.shape[-1])

    def draws(self, z: Tensor) -> ModuleDraws:
        """Random numbers for these sites and logits of this shape."""
        return ModuleDraws(self.sites, z.shape[1], z.shape[2], z.dtype, z.device, self.generator)


def _masked(factors: Mapping[str, Tensor], replica: int) -> Callable[[Tensor, DropoutSite], Tensor]:
    return lambda h, site: h * factors[site.name][0, replica].to(h.dtype)


class ModuleDraws:
    """What ``masks.Draws`` is to the stacked models: random numbers by purpose, here from a generator."""

    def __init__(
        self,
        sites: Mapping[str, DropoutSite],
        rows: int,
        classes: int,
        dtype: torch.dtype,
        device: torch.device,
        generator: torch.Generator | None,
    ) -> None:
        self.sites, self.rows, self.classes, self.dtype, self.device = sites, rows, classes, dtype, device
        if generator is None:
            generator = torch.Generator(device)
            generator.seed()
        self.generator = generator

    def masks(self, replicas: int) -> dict[str, Tensor]:
        """1 + ε by site: (1, R, *mask shape)."""
        return {
            name: (self._uniform(1, replicas, *site.mask_shape) >= site.p).to(self.dtype) / (1 - site.p)
            for name, site in self.sites.items()
        }

    def signs(self) -> dict[str, Tensor]:
        """±1 by site: (1, *mask shape)."""
        return {name: self._signs(1, *site.mask_shape) for name, site in self.sites.items()}

    def class_signs(self) -> Tensor:
        """±1: (1, N, C)."""
        return self._signs(1, self.rows, self.classes)

    def uniforms(self) -> Tensor:
        """In (0, 1): (1, N)."""
        return self._uniform(1, self.rows)

    def _signs(self, *shape: int) -> Tensor:
        return (self._uniform(*shape) >= 0.5).to(self.dtype).mul_(2).sub_(1)

    def _uniform(self, *shape: int) -> Tensor:
        drawn = torch.rand(shape, generator=self.generator, dtype=torch.float64, device=self.generator.device)
        return drawn.to(self.device)
