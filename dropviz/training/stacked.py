"""A model with the parameters of a block of seeds, as the regularizers see it: minibatches as functions of mask space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dropviz.experiment import ExperimentSpec
from dropviz.losses import read_loss
from dropviz.masks import Draws, Multiply, Record, SiteBehaviour, Watch, keep_all, variance
from dropviz.models.model import Carried
from dropviz.regularizers import Network
from dropviz.streams import MOST_STEPS
from dropviz.training.feed import Batch

PLAIN = 0  # the state that is carried without masks; with R replicas it goes by R


class StackedModel:
    """Parameters (S, …) and the state that runs along a text.

    Every kind of pass carries a state of its own: the one at ε = 0, and with R replicas each of them its own. The passes of
    one step all begin with the state that the step before left.

    Args:
        spec: The experiment: model, data, drop probability.
        seeds: Whose parameters are stacked.
        device: Where they are.
    """

    def __init__(self, spec: ExperimentSpec, seeds: Sequence[int], device: str) -> None:
        self.model, self.task, self.seeds, self.device = spec.model, spec.data.task, tuple(seeds), device
        self.loss, self.units = read_loss(self.task.loss), spec.model.units(spec.data.task)
        initial = [spec.model.initial(seed, self.task) for seed in seeds]
        buffers = spec.model.buffers()
        self.parameters = {
            name: torch.from_numpy(np.stack([values[name] for values in initial]))
            .to(device)
            .requires_grad_(name not in buffers)
            for name in initial[0]
        }
        self.leaves = [value for value in self.parameters.values() if value.requires_grad]
        self.rates = spec.model.rates(spec.p)
        self.variances = {site: variance(p) for site, p in self.rates.items()}
        self.carried: dict[int, Carried] = {}
        self.following: dict[int, Carried] = {}
        self.updated: Carried = {}  # buffers, as the first pass of a step leaves them
        self._shapes: dict[tuple[int, ...], dict[str, tuple[int, ...]]] = {}
        self._weights: set[str] = set()

    def network(self, batch: Batch, *, carry: bool = False) -> Network:
        """A batch as a function of mask space.

        Args:
            batch: Inputs and targets.
            carry: Whether it goes on where the last step ended, and the next one where it ends.
        """
        model, parameters, text = self.model, self.parameters, self.task.kind == "language"

        def forward(behaviour: SiteBehaviour) -> Tensor:
            x, replicas = batch.x, behaviour.replicas if isinstance(behaviour, Multiply) else PLAIN
            if text and replicas:  # each has a past of its own
                x = x.unsqueeze(1).expand(-1, replicas, *x.shape[1:]).flatten(1, 2)
            state = self._past(replicas) if carry else {}
            z = model.forward(parameters, x, behaviour, state)
            if carry:
                self._keep(replicas, state)
            return z

        def output(watch: Watch) -> tuple[str, Tensor, Tensor] | None:
            found = model.output_layer(parameters)
            return found and (found[0], watch.before[found[0]].flatten(1, -2), found[1])

        return Network(
            forward=forward,
            y=batch.y,
            variances=self.variances,
            loss=self.loss,
            by_row=not text,
            passes=(lambda z, watch: self._passes(batch)) if text else None,
            jacobians=lambda directions: model.jacobians(parameters, batch.x, directions),
            output=output,
            parameters=self.leaves,
            shapes=self.mask_shapes(batch.x),
        )

    def _past(self, replicas: int) -> Carried:
        """The state that a kind of pass goes on from. After an arm has switched, that is what another kind left."""
        if replicas in self.carried or not self.carried:
            return dict(self.carried.get(replicas, {}))
        kind = min(self.carried)
        own, needed = max(kind, 1), max(replicas, 1)
        return {name: _first_replica(value, own, needed) for name, value in self.carried[kind].items()}

    def _keep(self, replicas: int, state: Carried) -> None:
        for name, value in state.items():
            if name in self.parameters:
                self.updated.setdefault(name, value.detach())
            else:
                self.following.setdefault(replicas, {})[name] = value.detach()

    def start_anew(self) -> None:
        """Nothing is carried into the next step."""
        self.carried = {}

    def go_on(self) -> None:
        """The step is done: the next one begins with the state that this one left."""
        self.carried, self.following = self.following, {}
        for name, value in self.updated.items():
            self.parameters[name].copy_(value)
        self.updated = {}

    def logits(
        self,
        x: Tensor,
        carried: Carried | None = None,
        *,
        first: bool = False,
        parameters: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """At ε = 0, without derivatives; of the first seed alone if that is asked for, or with other parameters."""
        parameters = parameters or self.parameters
        if first:
            parameters = {name: value[:1] for name, value in parameters.items()}
        with torch.no_grad():
            return self.model.forward(parameters, x, keep_all, carried)

    def mask_shapes(self, x: Tensor) -> dict[str, tuple[int, ...]]:
        """Site → the shape of ε for inputs of this shape."""
        key = tuple(x.shape[1:])
        if key not in self._shapes:
            record = Record()
            self.model.forward(
                {name: value[:1].detach() for name, value in self.parameters.items()}, x[:1, :1], record
            )
            self._shapes[key] = record.mask_shapes(key[0])
            self._weights = record.weights
        return self._shapes[key]

    def draws(self, network: Network, purpose: str, *, ahead: int = MOST_STEPS) -> Draws:
        """Random numbers for networks of this size."""
        return Draws(
            self.seeds,
            network.shapes,
            self.rates,
            rows=network.rows,
            purpose=purpose,
            device=self.device,
            ahead=ahead,
        )

    def _passes(self, batch: Batch) -> tuple[Tensor, int]:
        """Rows that share ε: those of a stream, and where weights drop all of the minibatch."""
        streams, length = batch.x.shape[1:]
        if self._weights:
            return torch.arange(streams * length, device=self.device), streams * length
        return torch.arange(length, device=self.device).repeat(streams), length


def _first_replica(value: Tensor, own: int, needed: int) -> Tensor:
    """(S, own · B, …), the streams of each replica side by side, as (S, needed · B, …): of the first one, for all."""
    return value[:, : value.shape[1] // own].repeat(1, needed, *[1] * (value.ndim - 2))
