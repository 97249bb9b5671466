"""The same experiment for both sides: a spec of DropViz, and the bare loop on its data and its network."""

from __future__ import annotations

from benchmarks.bare import BareLoop
from dropviz.experiment import ExperimentSpec, preset
from dropviz.models.mlp import Mlp
from dropviz.training import Block


def digits(*settings: str) -> ExperimentSpec:
    """The default preset (MLP 64-128-128-10, minibatches of 16, SGD at 0.1), statistics off unless set."""
    return preset("noisy-digits").with_settings(["observe.statistics=0", *settings])


def bare_loop(spec: ExperimentSpec, seed: int, *, dropout: bool) -> BareLoop:
    """The hand-written counterpart of one seed of a spec, with dropout or without."""
    assert isinstance(spec.model, Mlp)
    return BareLoop(
        vars(spec.data.load(seed)),
        [spec.data.task.inputs, *spec.model.widths, spec.data.task.outputs],
        p=spec.p if dropout else 0.0,
        batch_size=spec.train.batch_size,
        learning_rate=spec.train.learning_rate,
    )


def blocks(spec: ExperimentSpec, arm: str, *, stacked: bool) -> list[Block]:
    """The spec's seeds as one block, or as a block each."""
    groups = [list(spec.seed_list())] if stacked else [[seed] for seed in spec.seed_list()]
    return [Block(spec, arm, group) for group in groups]
