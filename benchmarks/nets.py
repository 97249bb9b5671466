"""The same experiment for both sides: a spec of DropViz, and the bare loop on its data and its network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from benchmarks.bare import BareLoop
from benchmarks.bare_arms import BareReplicas, BareSurrogate
from benchmarks.measure import steps_per_second
from dropviz.experiment import ExperimentSpec, preset
from dropviz.models.mlp import Mlp
from dropviz.strategies import strategy
from dropviz.strategies.dropout import Dropout
from dropviz.strategies.surrogate import AnalyticSurrogate
from dropviz.training import Block


class Trains(Protocol):
    """A block or a bare loop."""

    def update(self) -> object:
        """One step."""
        ...


def digits(*settings: str) -> ExperimentSpec:
    """The default preset (MLP 64-128-128-10, minibatches of 16, SGD at 0.1), statistics off unless set."""
    return preset("noisy-digits").with_settings(["observe.statistics=0", *settings])


def bare_loop(spec: ExperimentSpec, seed: int, *, dropout: bool) -> BareLoop:
    """The hand-written counterpart of one seed of a spec, with dropout or without."""
    return bare_arm(spec, seed, "dropout" if dropout else "none")


def bare_arm(spec: ExperimentSpec, seed: int, arm: str) -> BareLoop:
    """The same of another arm of ``noisy-digits``; the explicit term is the exact one."""
    assert isinstance(spec.model, Mlp)
    arrays = vars(spec.data.load(seed))
    sizes = [spec.data.task.inputs, *spec.model.widths, spec.data.task.outputs]
    train = {"batch_size": spec.train.batch_size, "learning_rate": spec.train.learning_rate}
    kind = strategy(arm)
    if isinstance(kind, Dropout) and kind.k > 1:
        return BareReplicas(arrays, sizes, k=kind.k, noise=kind.noise == "mask", p=spec.p, **train)
    if isinstance(kind, AnalyticSurrogate):
        assert kind.explicit
        return BareSurrogate(arrays, sizes, rate=spec.p, implicit=kind.implicit, **train)
    return BareLoop(arrays, sizes, p=spec.p if arm == "dropout" else 0.0, **train)


def blocks(spec: ExperimentSpec, arm: str, *, stacked: bool) -> list[Block]:
    """The spec's seeds as one block, or as a block each."""
    groups = [list(spec.seed_list())] if stacked else [[seed] for seed in spec.seed_list()]
    return [Block(spec, arm, group) for group in groups]


def seed_steps_per_second(members: Sequence[Trains], seeds: int, steps: int) -> float:
    """Networks × steps per second of processor time; several programs are trained one after the other."""

    def everybody() -> None:
        for member in members:
            for _ in range(steps):
                member.update()

    return seeds * steps * steps_per_second(everybody, 1)
