"""Anybody's ``nn.Module`` as a function of mask space: the ``Network`` that ``regularizers`` works on, out of ``sites``.

Shapes: N rows of logits (examples, or examples and time steps) that count, C outputs, R replicas.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from dropviz.losses import IGNORED, read_loss
from dropviz.masks import Multiply, SiteBehaviour, Watch
from dropviz.modules.draws import ModuleDraws
from dropviz.modules.sharing import passes
from dropviz.regularizers import Network
from dropviz.sites import DropoutSite, Forward, ModuleBehaviour, discovering, repeating

NOT_NEEDED = object()  # no targets
LOOK_FOR = "look for infinities in the input and the parameters, or at the learning rate"


class SharedWatch(Watch):
    """Sites in the shapes of the module, whose units may share a coordinate of ε: ε is (1, *mask shape)."""

    def __init__(self) -> None:
        super().__init__()
        self.sites: dict[str, DropoutSite] = {}
        self.passed: dict[str, Tensor] = {}

    def at(self, h: Tensor, site: DropoutSite) -> Tensor:
        """A copy of the view, as the module may write into what it gets.

        Raises:
            ValueError: No derivative is taken here.
        """
        passed = self(h, site.name).clone()
        if not passed.requires_grad:
            raise ValueError(
                f"{site.name} drops where no derivative is taken: take out no_grad() and inference_mode()."
            )
        self.sites[site.name], self.passed[site.name] = site, passed
        return passed

    def slope(self, site: str, gradient: Tensor) -> Tensor:
        """Summed over the units that share a coordinate of ε."""
        return super().slope(site, gradient).sum_to_size(self.sites[site].mask_shape)[None]

    def moved(self, site: str, epsilon: Tensor) -> Tensor:
        """In the precision of h."""
        return super().moved(site, epsilon[0].to(self.before[site]))


class ModuleNetwork(Network):
    """A model, an input and, after the first forward pass, the sites between them.

    Args:
        model: With at least one active dropout site, or with none: see ``dropout``.
        x: What the model is called with, or ``forward``'s second argument.
        y: Targets; left out where none are needed.
        loss: By name, or an object: see ``losses.read_loss``.
        weight: Of each row of the logits in every mean, in their shape without the last axis or flat; rows of weight 0
            are left out before anything is computed of them.
        ignore_index: Label of rows that have weight 0.
        forward: ``forward(model, x)`` gives the logits.
        generator: For ``draws``; without one they differ from call to call.
        dropout: Whether there has to be dropout; if not, there must be none.

    Raises:
        ValueError: In the first forward pass: no dropout, or dropout where none may be; logits, targets, weights or a
            precision that nothing can be computed with.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Any,
        y: Any = NOT_NEEDED,
        *,
        loss: Any = "cross_entropy",
        weight: Tensor | None = None,
        ignore_index: int = IGNORED,
        forward: Forward | None = None,
        generator: torch.Generator | None = None,
        dropout: bool = True,
    ) -> None:
        self.model, self.x, self.dropout = model, x, dropout
        self.targets, self.weight, self.ignored = y, weight, ignore_index
        self.call: Forward = forward or (lambda asked, inputs: asked(inputs))
        self.sites: dict[str, DropoutSite] = {}
        self.started = False
        self.kept: Tensor | None = None  # rows that count, where not all of them do
        self.shape = torch.Size()  # of the logits, without their last axis
        self.linear_output: tuple[str, Tensor, Tensor] | None = None
        place = next(model.parameters(), torch.empty(0)).device
        self.draws = ModuleDraws(self.sites, place, generator)
        self.y, self.variances = torch.zeros(1, 0, dtype=torch.long), {}
        self.loss, self.watch, self.by_row = read_loss(loss), SharedWatch, False

    def passes(self, z: Tensor, watch: Watch) -> tuple[Tensor, int]:
        """See ``sharing.passes``."""
        return passes(self._positions(z.device), z, watch)

    def output(self, watch: Watch) -> tuple[str, Tensor, Tensor] | None:
        """Of the pass under ``watch``."""
        return self.linear_output

    def forward(self, behaviour: SiteBehaviour) -> Tensor:
        """Logits (1, N, C) under a behaviour; (1, R·N, C) under R masks, by R passes."""
        if isinstance(behaviour, Multiply):
            factors: Any = behaviour.factors
            return torch.cat(
                [self._run(lambda h, site: h * factors.draw(site).to(h)) for _ in range(factors.replicas)],
                dim=1,
            )
        if isinstance(behaviour, SharedWatch):
            z = self._run(behaviour.at, behaviour, twice=True)
            if not z.requires_grad:
                raise ValueError(
                    "The logits do not depend on any dropout that can be differentiated: take out detach(), no_grad() and inference_mode()."
                )
            return z
        return self._run(lambda h, site: h, twice=torch.is_grad_enabled())

    def _run(
        self, at_site: ModuleBehaviour, watch: SharedWatch | None = None, *, twice: bool = False
    ) -> Tensor:
        first = not self.started
        calls = _Calls(self.sites, at_site, first=first)
        x = tree_map_only(Tensor, torch.clone, self.x)  # which the model may write into
        with (discovering if first else repeating)(self.model, calls, twice=twice) as mode:
            found = self.call(self.model, x)
        calls.end()
        self._check_sites()
        logits = self._logits(found)
        if first:
            self._start(logits)
        z = logits.reshape(1, -1, logits.shape[-1])
        z = z if self.kept is None else z[:, self.kept]
        if watch is not None and z.requires_grad:
            self.linear_output = self._output(watch, mode.linear, found)
        return z

    def _check_sites(self) -> None:
        if self.sites and not self.dropout:
            site = next(iter(self.sites.values()))
            raise ValueError(
                f"{site.name} drops with p = {site.p:g}, where the model without dropout is measured: call model.eval()."
            )
        if self.dropout and not self.sites:
            hint = "" if self.model.training else " It is in eval mode: call model.train()."
            raise ValueError(f"{type(self.model).__name__} performs no dropout on this input.{hint}")

    def _start(self, z: Tensor) -> None:
        """What the first pass reveals: the sites, and which rows there are and count."""
        self.started = True
        self.variances = {name: site.p / (1 - site.p) for name, site in self.sites.items()}
        self.shape = z.shape[:-1]
        self.draws.rows = self.shape.numel()
        counted: Tensor | None = None
        if self.targets is not NOT_NEEDED:
            self.y, counted = self.loss.targets(z, self.targets, self.ignored)
        if self.weight is None and counted is None:
            return
        weights = self._row_weights(z)
        weights = weights if counted is None else weights * counted
        if not bool((weights > 0).any()):
            raise ValueError("weight leaves out every row that has a label: give one row a weight above 0.")
        if not bool((weights > 0).all()):
            self.kept = weights.nonzero().flatten()
            weights = weights[self.kept]
            self.y = self.y[:, self.kept] if self.targets is not NOT_NEEDED else self.y
        if bool((weights != weights[0]).any()):
            self.weights = (weights / weights.sum()).to(z.dtype)[None]
        self.draws.rows = len(weights)

    def _row_weights(self, z: Tensor) -> Tensor:
        rows, weight = z.shape[:-1], self.weight
        if weight is None:
            return torch.ones(rows.numel(), device=z.device, dtype=torch.float64)
        if not isinstance(weight, Tensor) or weight.shape not in (rows, (rows.numel(),)):
            shape = tuple(weight.shape) if isinstance(weight, Tensor) else type(weight).__name__
            raise ValueError(
                f"weight has the shape {shape}, but logits {tuple(z.shape)} need a number a row: give it the shape {tuple(rows)}."
            )
        numbers = weight.detach().to(z.device, torch.float64).flatten()
        if not bool((numbers.isfinite() & (numbers >= 0)).all()):
            raise ValueError("weight holds numbers that are negative or not finite: use 0 and above.")
        return numbers

    def _logits(self, z: Any) -> Tensor:
        if not isinstance(z, Tensor) or z.ndim < 2 or not z.is_floating_point() or not z.numel():
            found = f"{z.dtype} of the shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
            raise ValueError(
                f"The model returns {found}, where logits (…, outputs) are needed: name them with forward=."
            )
        if torch.is_autocast_enabled(z.device.type):
            raise ValueError(
                "Under autocast the terms lose the digits that they consist of: leave torch.autocast for this call."
            )
        if not _finite(z):
            raise ValueError(
                f"{int((~z.isfinite()).sum())} of {z.numel()} logits are not finite: {LOOK_FOR}."
            )
        return z

    def _positions(self, device: torch.device) -> list[Tensor]:
        """Where each row that counts stands on each axis of the logits but the last: (N,) an axis."""
        places = torch.meshgrid(*(torch.arange(size, device=device) for size in self.shape), indexing="ij")
        rows = slice(None) if self.kept is None else self.kept
        return [place.flatten()[rows] for place in places]

    def _output(
        self, watch: SharedWatch, linear: list[Tensor], found: Any
    ) -> tuple[str, Tensor, Tensor] | None:
        """The site whose units go into the linear map that gives the logits, if there is one: z = hA + b.

        A and b have to be given, not computed: what is computed may depend on ε.
        """
        if not linear or linear[-1] is not found or found._version:  # written into: no longer linear
            return None
        if linear[1].ndim != 2 or not all(given.is_leaf for given in linear[1:-1]):
            return None
        for name, passed in watch.passed.items():
            site = watch.sites[name]
            if passed is linear[0] and not passed._version and site.mask_shape == site.shape:
                h = watch.before[name].reshape(1, -1, site.shape[-1])
                return name, h if self.kept is None else h[:, self.kept], linear[1].T[None]
        return None


def _finite(numbers: Tensor) -> bool:
    """Whether all are: the extremes of others are not. One look at the device."""
    return not numbers.numel() or bool(torch.stack(numbers.detach().aminmax()).isfinite().all())


class _Calls:
    """Every dropout call of the first pass has to come again in a later one, and no other."""

    def __init__(self, sites: dict[str, DropoutSite], at_site: ModuleBehaviour, *, first: bool) -> None:
        self.sites, self.at_site, self.first = sites, at_site, first
        self.expected = iter(list(sites.values()))

    def __call__(self, h: Tensor, called: DropoutSite) -> Tensor:
        if self.first:
            if not _finite(h):
                raise ValueError(f"Activations at {called.name} are not finite: {LOOK_FOR}.")
            self.sites[called.name] = called
            return self.at_site(h, called)
        site = next(self.expected, None)
        if site is None or (site.p, site.mask_shape) != (called.p, called.mask_shape):
            raise ValueError(
                f"{called.name} was not called like this in an earlier pass over the same input: the forward pass has"
                " to be the same each time."
            )
        return self.at_site(h, site)

    def end(self) -> None:
        """Nothing may be left."""
        if (skipped := next(self.expected, None)) is not None:
            raise ValueError(
                f"{skipped.name} was not called again in a later pass over the same input: the forward pass has to be the"
                " same each time."
            )
