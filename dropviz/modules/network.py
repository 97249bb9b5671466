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

IGNORED = -100  # torch's own default for labels that do not count


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
    """A model, an input and the sites between them.

    Args:
        model: In train mode, with at least one active dropout site.
        x: What the model is called with, or ``forward``'s second argument.
        y: Labels, in the shape of the logits without their last axis or flat; None where no label is needed.
        forward: ``forward(model, x)`` gives the logits.
        generator: For ``draws``; without one they differ from call to call.

    Rows with the label −100 are left out before anything is computed of the logits.

    Raises:
        ValueError: No dropout; logits, labels or precision that nothing can be computed with.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Any,
        y: Tensor | None,
        forward: Forward | None,
        generator: torch.Generator | None,
    ) -> None:
        self.model, self.x = model, x
        self.call: Forward = forward or (lambda asked, inputs: asked(inputs))
        first: list[Any] = []

        def noted(asked: nn.Module, inputs: Any) -> None:
            first.append(self.call(asked, inputs))

        self.sites = {site.name: site for site in dropout_sites(model, x, forward=noted)}
        if not self.sites:
            hint = "" if model.training else " It is in eval mode: call model.train()."
            raise ValueError(f"{type(model).__name__} performs no dropout on this input.{hint}")
        self.variances = {name: site.p / (1 - site.p) for name, site in self.sites.items()}
        z = _logits(first[0])
        self.kept: Tensor | None = None  # rows that count, where not all of them do
        self.axes = _positions(z)
        self.y = torch.zeros(1, 0, dtype=torch.long) if y is None else self._labels(z, y)
        if generator is None:
            generator = torch.Generator(z.device)
            generator.seed()
        self.draws = ModuleDraws(self.sites, len(self.axes[0]), z.shape[-1], z.dtype, z.device, generator)

    def _labels(self, z: Tensor, y: Tensor) -> Tensor:
        rows, classes = tuple(z.shape[:-1]), z.shape[-1]
        if tuple(y.shape) not in (rows, (z.shape[:-1].numel(),)):
            raise ValueError(
                f"y has the shape {tuple(y.shape)}, but logits {tuple(z.shape)} need one label a row: give it the shape"
                f" {rows}."
            )
        if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise ValueError(f"y is of {y.dtype}, but labels are class numbers: use y.long().")
        y = y.reshape(-1).to(z.device, torch.long)
        if bool((y == IGNORED).any()):
            self.kept = (y != IGNORED).nonzero().flatten()
            y, self.axes = y[self.kept], [axis[self.kept] for axis in self.axes]
            if not len(y):
                raise ValueError(
                    f"All of y is {IGNORED}, the label of rows that do not count: give one row a class."
                )
        wrong = y[(y < 0) | (y >= classes)]
        if len(wrong):
            raise ValueError(
                f"y holds the label {int(wrong[0])}, but the logits have {classes} classes: use 0 to {classes - 1}, or"
                f" {IGNORED} for a row that does not count."
            )
        return y.reshape(1, -1)

    def network(self) -> Network:
        """The model as a function of mask space; a coordinate of ε may act on several rows."""
        return Network(forward=self.forward, y=self.y, variances=self.variances, watch=Epsilon, by_row=False)

    def forward(self, behaviour: SiteBehaviour) -> Tensor:
        """Logits (1, N, C) under a behaviour; (1, R·N, C) under R masks, by R passes."""
        if isinstance(behaviour, Multiply):
            replicas = next(iter(behaviour.factors.values())).shape[1]
            return torch.cat([self._run(_masked(behaviour.factors, r)) for r in range(replicas)], dim=1)
        if isinstance(behaviour, Epsilon):
            z = self._run(behaviour.at)
            if not z.requires_grad:
                raise ValueError(
                    "The logits do not depend on any dropout that can be differentiated: take out detach(), no_grad() and inference_mode()."
                )
            # 0, to join on what the logits make no use of: its derivative is 0 then, and not an error.
            return z + 0 * torch.stack([epsilon.sum() for epsilon in behaviour.views.values()]).sum().to(
                z.dtype
            )
        assert behaviour is keep_all
        return self._run(lambda h, site: h)

    def _run(self, at_site: Callable[[Tensor, DropoutSite], Tensor]) -> Tensor:
        """One pass; every dropout call of the first pass has to come again, and no other."""
        expected = iter(self.sites.values())

        def checked(h: Tensor, called: DropoutSite) -> Tensor:
            site = next(expected, None)
            if site is None or (site.p, site.mask_shape) != (called.p, called.mask_shape):
                raise ValueError(
                    f"{called.name} was not called like this in an earlier pass over the same input: the forward pass has"
                    " to be the same each time."
                )
            return at_site(h, site)

        with unchanged(self.model), SiteMode(checked, lambda: type(self.model).__name__):
            z = _logits(self.call(self.model, self.x))
        if (skipped := next(expected, None)) is not None:
            raise ValueError(
                f"{skipped.name} was not called again in a later pass over the same input: the forward pass has to be the"
                " same each time."
            )
        z = z.reshape(1, -1, z.shape[-1])
        return z if self.kept is None else z[:, self.kept]


class ModuleDraws:
    """What ``masks.Draws`` is to the stacked models: random numbers by purpose, here new ones with each call."""

    def __init__(
        self,
        sites: Mapping[str, DropoutSite],
        rows: int,
        classes: int,
        dtype: torch.dtype,
        device: torch.device,
        generator: torch.Generator,
    ) -> None:
        self.sites, self.rows, self.classes, self.dtype, self.device = sites, rows, classes, dtype, device
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


def _logits(z: Any) -> Tensor:
    if not isinstance(z, Tensor) or z.ndim < 2 or not z.is_floating_point() or not z.numel():
        found = f"{z.dtype} of the shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
        raise ValueError(
            f"The model returns {found}, where logits (…, classes) are needed: name them with forward=."
        )
    if torch.is_autocast_enabled(z.device.type):
        raise ValueError(
            "Under autocast the terms lose the digits that they consist of: leave torch.autocast for this call."
        )
    if not bool(z.isfinite().all()):
        raise ValueError(
            f"{int((~z.isfinite()).sum())} of {z.numel()} logits are not finite: look for infinities in the input and the"
            " parameters, or at the learning rate."
        )
    return z


def _positions(z: Tensor) -> list[Tensor]:
    """Where each row stands on each axis of the logits but the last: (N,) an axis."""
    places = [torch.arange(size, device=z.device) for size in z.shape[:-1]]
    return [axis.flatten() for axis in torch.meshgrid(*places, indexing="ij")]


def _masked(factors: Mapping[str, Tensor], replica: int) -> Callable[[Tensor, DropoutSite], Tensor]:
    return lambda h, site: h * factors[site.name][0, replica].to(h.dtype)
