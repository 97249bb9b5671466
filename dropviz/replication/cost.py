"""What a row costs, by arithmetic from its specs: an estimate, for runs that are too long to measure their cost first."""

from __future__ import annotations

from dataclasses import dataclass

from dropviz.duration import OPERATIONS_A_MULTIPLICATION, passes, shown_seconds
from dropviz.experiment import ExperimentSpec, step_rows
from dropviz.replication.paper import Row
from dropviz.replication.settings import Scale

CORE = 47e9  # operations a second of one thread: `none` of the preset reference-lstm, benchmarks/RESULTS.md
GPU = 10e12  # a second, sustained: an assumption, not measured

WORTH_A_GPU = 1e16


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be computed, in floating-point operations."""

    operations: float

    def __str__(self) -> str:
        on_a_gpu = f", or {_shown(self.operations / GPU)} of a GPU" if self.operations > WORTH_A_GPU else ""
        return f"about {_shown(self.operations / CORE)} of one core{on_a_gpu}"


HOW = (
    "Estimated, not measured: 6 × multiplications × rows × steps × passes, a step of second order counted as three, or by the exact estimator as one an output. A core does 47"
    " GFLOP/s, as one thread does on the preset reference-lstm (benchmarks/RESULTS.md); of a GPU 10 TFLOP/s are assumed."
)


def work(row: Row, scale: Scale) -> Work:
    """Of all settings that a row is tested on; what several rows share is computed once but counted in each."""
    found = 0.0
    for case in row.cases(scale):
        for part, setting in case.settings.items():
            found += operations(setting.spec(case.arms(part)))
    return Work(operations=found)


def operations(spec: ExperimentSpec) -> float:
    """Of a spec's training, over all arms and seeds."""
    steps = sum(passes(spec, arm) for arm in spec.arms)
    plain = OPERATIONS_A_MULTIPLICATION * spec.model.multiplications(spec.data.task) * step_rows(spec)
    return float(plain * spec.train.steps * spec.seeds * steps)


def _shown(seconds: float) -> str:
    days = seconds / 86400
    return shown_seconds(seconds) if days < 3 else f"{days:,.0f} days"
