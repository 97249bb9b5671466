"""What an arm computes a step, and what it took: counted from its definition, and measured by the jobs that trained it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from dropviz.experiment import ExperimentSpec, step_rows
from dropviz.strategies import Strategy, strategy


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What one job used for training: seconds, over so many updates of each of its seeds."""

    seconds: float
    steps: int
    seeds: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What an arm of a run costs, for one seed.

    Attributes:
        passes: Forward passes over the minibatch that a step takes, by the arm's definition; at most, where it switches.
        derivatives: Whether a step also differentiates derivatives, whose cost no count of passes says.
        switches: Whether it turns into another arm on the way, so that its steps have no one price.
        examples: That go through the network a step; of a text tokens.
        step_seconds: Measured seconds a step and seed, of seeds that were stacked; None where nobody measured.
        seconds: Measured seconds of training a seed.
        steps: Updates of a seed so far.
    """

    passes: int
    derivatives: bool
    switches: bool
    examples: int
    step_seconds: float | None
    seconds: float | None
    steps: int

    def a_step(self, unit: str) -> float | None:
        """The price of a step in a unit, None where it has none in it.

        Args:
            unit: ``seconds``, as measured; or ``gradients``, of the loss on one minibatch under one mask: a count that only
                arms without derivatives of derivatives have.
        """
        if self.switches:
            return None
        if unit == "seconds":
            return self.step_seconds
        return None if self.derivatives else float(self.passes)

    def along(self, axis: str, spec: ExperimentSpec) -> float | None:
        """How far along an axis a step goes: ``step``, ``examples``, ``epoch``, or a unit; None where nobody knows."""
        if axis == "step":
            return 1.0
        rows = step_rows(spec)
        if axis == "examples":
            return float(rows)
        if axis == "epoch":
            size = getattr(spec.data, "train_size", None) or getattr(spec.data, "train_tokens", None)
            return rows / size if size else None
        return self.a_step(axis)


def cost(spec: ExperimentSpec, arm: str, spent: Iterable[Spent] = ()) -> Cost:
    """Of an arm of an experiment, with what its jobs have spent so far."""
    jobs = list(spent)
    passes, derivatives, switches = _definition(arm)
    seed_steps = sum(job.steps * job.seeds for job in jobs)
    seeds = sum(job.seeds for job in jobs)
    seconds = sum(job.seconds for job in jobs)
    measured = bool(seconds and seed_steps)
    return Cost(
        passes=passes,
        derivatives=derivatives,
        switches=switches,
        examples=passes * step_rows(spec),
        step_seconds=seconds / seed_steps if measured else None,
        seconds=seconds / seeds if measured else None,
        steps=seed_steps // seeds if seeds else 0,
    )


@lru_cache(maxsize=1024)
def _definition(arm: str) -> tuple[int, bool, bool]:
    """Forward passes a step at most, whether any step differentiates derivatives, and whether steps differ in what they do."""
    chosen = strategy(arm)
    stretches = [chosen.at(step) for step in (0, *chosen.switches)]
    return max(map(_passes, stretches)), chosen.second_order, len(stretches) > 1


def _passes(chosen: Strategy) -> int:
    """A pass for each mask; analytic noise beside masks takes one without."""
    return max(1, chosen.replicas) + bool(chosen.second_order and chosen.replicas)
