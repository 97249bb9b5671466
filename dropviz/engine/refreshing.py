"""The job that measures the whole spectrum of kept weights. No torch until it runs."""

from __future__ import annotations

from dropviz.engine.recorder import Ending
from dropviz.engine.series import Series
from dropviz.experiment import ExperimentSpec
from dropviz.store import Claim


def run(spec: ExperimentSpec, claim: Claim, series: Series, device: str) -> Ending:
    """Measure, at the step whose weights were kept, what the run did not: the numbers that it would have had there.

    Random numbers are addressed by step, so only what remembers former moments differs: the largest eigenvalue of the live
    statistics, within its residual.

    Raises:
        ValueError: The weights are not there.
    """
    from dropviz.training import Block

    assert claim.weights_of is not None
    assert claim.weights_step is not None
    weights = series.recorder.store.weights.read(claim.weights_of, claim.weights_step, claim.identity)
    block = Block(spec, claim.arm, claim.seeds, device)
    block.load_weights(weights, claim.weights_step)
    series.put(block.measure_rest(), 1, block=block)
    return Ending(outcome="done")
