"""What is observed of a block beside its losses: the statistics, at the moments that the experiment has for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from dropviz.experiment import ExperimentSpec, live_steps, refresh_steps
from dropviz.masks import Draws
from dropviz.models.model import layer_of
from dropviz.regularizers import Network
from dropviz.statistics import Moment, Statistic, statistics
from dropviz.strategies import Strategy
from dropviz.training import members
from dropviz.training.evaluation import Evaluation
from dropviz.training.feed import Feed
from dropviz.training.records import Record, Snapshot, record
from dropviz.training.stacked import StackedModel

MINIBATCHES = 4  # that gradient noise is measured on


class Observation:
    """Measures the statistics of a block; never changes training: its random numbers are its own.

    Attributes:
        memory: What statistics remember from one moment to the next, such as an eigenvector to start from.
    """

    def __init__(self, spec: ExperimentSpec, strategy: Strategy, feed: Feed, stacked: StackedModel) -> None:
        self.spec, self.strategy, self.feed, self.stacked = spec, strategy, feed, stacked
        self.steps = {"live": set(live_steps(spec)), "refresh": set(refresh_steps(spec))}
        self.batch = feed.probe(spec.observe.probe)
        self.batches = feed.fixed_batches(MINIBATCHES)
        self.layers = [layer_of(name) for name, value in stacked.parameters.items() if value.requires_grad]
        self.memory: dict[str, Tensor] = {}

    def at(self, step: int, evaluation: Evaluation) -> list[Record | Snapshot]:
        """Records of the statistics that are due at this step.

        Args:
            step: Updates done.
            evaluation: Of the same block, at this step.
        """
        tiers = [tier for tier, steps in self.steps.items() if step in steps]
        if not tiers:
            return []
        return self.measure([one for one in statistics() if one.tier in tiers], step, evaluation)

    def rest(self, step: int, evaluation: Evaluation) -> list[Record | Snapshot]:
        """Records of the statistics that are not due at this step."""
        return self.measure(
            [one for one in statistics() if step not in self.steps[one.tier]], step, evaluation
        )

    def measure(
        self, chosen: Sequence[Statistic], step: int, evaluation: Evaluation
    ) -> list[Record | Snapshot]:
        """Records of these statistics, due or not; arrays become snapshots in single precision."""
        moment = self._moment(step, evaluation.predictions())
        records: list[Record | Snapshot] = []
        for statistic in chosen:
            for name, values in statistic.measure(moment).items():
                if values.ndim == 1:
                    records.append(record(step, name, values))
                else:
                    array = values.detach().to("cpu", torch.float32).numpy()
                    records.append(Snapshot(step=step, name=name, array=array))
        return records

    def _moment(self, step: int, predictions: list[tuple[Tensor, Tensor]]) -> Moment:
        networks = [self.stacked.network(batch) for batch in self.batches]

        def draws(purpose: str, network: Network) -> Draws:
            return self.stacked.draws(network, f"statistic/{step}/{purpose}", ahead=1)

        def gradients(purpose: str, masks: int) -> Tensor:
            drawn = [
                draws(f"{purpose}/{index}", network).masks(masks) for index, network in enumerate(networks)
            ]
            return members.gradients(self.stacked, self.batches, drawn)

        return Moment(
            step=step,
            strategy=self.strategy.at(step),
            parameters=self.stacked.leaves,
            layers=self.layers,
            network=self.stacked.network(self.batch),
            minibatches=networks,
            draws=draws,
            gradients=gradients,
            losses_at=partial(members.losses_at, self.stacked, self.batch),
            predictions=predictions,
            masks=self.spec.observe.masks,
            rows=self.feed.rows,
            memory=self.memory,
        )
