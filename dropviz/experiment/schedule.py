"""When an experiment is looked at: evaluations, live statistics, refreshes of the whole curvature. A function of the spec alone,
so that a result has its points at the same steps wherever and however often it is computed."""

from __future__ import annotations

from collections.abc import Sequence

from dropviz.experiment.spec import ExperimentSpec

SHARE = 0.05  # of the steps of a run without dropout, that live statistics may take where their number is left to us
FEWEST, MOST = 1, 30
MOST_SURFACES, MOST_SAMPLES = 25, 10
# What a pass forward and back costs, in multiplications of one seed: a fixed part, for the calls, where about eight seeds are
# stacked, and three times those of the forward pass a row. Measured on one core; see docs/decisions/0013.
FIXED = 1_300_000
# How many such passes a moment of statistics is worth, on the probe and on a minibatch.
PROBE_PASSES, STEP_PASSES = 24, 50


def evaluation_steps(spec: ExperimentSpec) -> list[int]:
    """The steps at which curves get a point, from 0 to the last one, evenly spaced."""
    interval = evaluation_interval(spec)
    return [*range(0, spec.train.steps, interval), spec.train.steps]


def evaluation_interval(spec: ExperimentSpec) -> int:
    """Steps between two points of a curve: what one press of Step advances."""
    return -(-spec.train.steps // spec.observe.evaluations)


def live_steps(spec: ExperimentSpec) -> list[int]:
    """The evaluation steps that have live statistics, evenly spaced."""
    wanted = spec.observe.statistics
    if isinstance(wanted, int):
        return sorted(spread(evaluation_steps(spec), wanted))
    affordable = int(SHARE * spec.train.steps / live_cost(spec))
    return sorted(spread(evaluation_steps(spec), max(FEWEST, min(MOST, affordable))))


def refresh_steps(spec: ExperimentSpec) -> list[int]:
    """The evaluation steps that have a refresh: the last, the first, and between them each a constant factor after the other."""
    steps, count = evaluation_steps(spec), min(spec.observe.refreshes, len(evaluation_steps(spec)))
    if count < 2:
        return steps[-1:] * count
    first, last = evaluation_interval(spec), steps[-1]
    between = [first * (last / first) ** (index / (count - 2)) for index in range(count - 2)]
    return sorted({0, last, *(min(steps[1:], key=lambda step: abs(step - target)) for target in between)})


def picture_steps(spec: ExperimentSpec) -> list[int]:
    """The evaluation steps at which a decision surface is drawn, or a text generated, evenly spaced."""
    most = MOST_SURFACES if spec.data.planar else MOST_SAMPLES if spec.data.task.kind == "language" else 0
    return sorted(spread(evaluation_steps(spec), most))


def live_cost(spec: ExperimentSpec) -> float:
    """What a moment of live statistics costs, in steps without dropout, by count of passes and multiplications."""
    return STEP_PASSES + PROBE_PASSES * _pass(spec, probe_rows(spec)) / _pass(spec, step_rows(spec))


def step_rows(spec: ExperimentSpec) -> int:
    """Examples of a step, or tokens."""
    return spec.train.batch_size * (spec.language.segment if spec.data.task.kind == "language" else 1)


def probe_rows(spec: ExperimentSpec) -> int:
    """Examples of the probe, if there are as many; of a text tokens, in whole segments."""
    if spec.data.task.kind != "language":
        return spec.observe.probe
    return -(-spec.observe.probe // spec.language.segment) * spec.language.segment


def spread(steps: Sequence[int], count: int) -> set[int]:
    """So many of the steps, evenly spaced, the first and the last among them; of one, the last."""
    if count < 2:
        return set(steps[-1:] if count else ())
    return {steps[round(i * (len(steps) - 1) / (count - 1))] for i in range(count)}


def _pass(spec: ExperimentSpec, rows: int) -> float:
    return FIXED + 3 * rows * spec.model.multiplications(spec.data.task)
