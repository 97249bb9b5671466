"""How long an experiment takes on this server: from what its parts cost here, measured once, by arithmetic. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Self

from dropviz import settings
from dropviz.budget import seed_blocks, seeds_together
from dropviz.experiment import (
    ExperimentSpec,
    canonical_json,
    code_version,
    evaluation_steps,
    extension_digests,
    live_steps,
    picture_steps,
    refresh_steps,
    step_rows,
    surrogate_choices,
)
from dropviz.strategies import strategy

HANDOVER_SECONDS = (
    0.25  # of a job beside its own work: claimed, forked, begun, its end written; see docs/decisions/0014
)
REFRESH_IN_LIVE = 12  # a refresh takes at most so many moments of live statistics; see docs/decisions/0014
OPERATIONS_A_MULTIPLICATION = 6  # two forward, and twice as many back
SECOND_ORDER = 3  # plain steps; see Strategy.second_order
OVERHEAD_SECONDS, OPERATIONS_A_SECOND = 0.0003, 30e9  # of a step on one thread
ONCE_SECONDS, EVALUATION_IN_STEPS, LIVE_IN_STEPS = 0.15, 8, 50
WITHOUT_COST = (
    "steps",
    "learning_rate",
    "schedule",
    "warmup",
)  # of training: they decide how often, not how long


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds that the parts of a job take here: one arm, as many seeds as one program stacks.

    Attributes:
        once: What a job does a single time: data and networks are made, the test split is read; and what first times take longer.
        step: An update; of an arm that switches, their mean over the run.
        evaluation: A point of the curves.
        picture: A decision surface or a generated text; 0 where there is none.
        live: A moment of live statistics.
        refresh: A refresh of the whole spectrum; where the experiment asks for none, a guess on the safe side.
    """

    once: float
    step: float
    evaluation: float
    picture: float
    live: float
    refresh: float

    def to_values(self) -> list[float]:
        """The numbers in their order, as a store keeps them."""
        return list(astuple(self))

    @classmethod
    def of_values(cls, values: Iterable[float]) -> Self:
        """The inverse of ``to_values``."""
        return cls(**dict(zip(cls.__dataclass_fields__, map(float, values), strict=True)))

    @classmethod
    def rough(cls, spec: ExperimentSpec, arm: str) -> Self:
        """By arithmetic alone, before anything is measured: of eleven experiments on one machine 0.32 to 2.55 times what was measured.

        See docs/decisions/0014.

        A step has an overhead and its operations; an evaluation is as much as a few steps without dropout, a moment of statistics as many.
        """
        plain = OPERATIONS_A_MULTIPLICATION * spec.model.multiplications(spec.data.task) * step_rows(spec)
        alone = OVERHEAD_SECONDS + stacked_seeds(spec, arm) * plain / OPERATIONS_A_SECOND
        step = OVERHEAD_SECONDS + stacked_seeds(spec, arm) * plain * passes(spec, arm) / OPERATIONS_A_SECOND
        return cls(
            once=ONCE_SECONDS,
            step=step,
            evaluation=EVALUATION_IN_STEPS * alone,
            picture=EVALUATION_IN_STEPS * alone,
            live=LIVE_IN_STEPS * alone,
            refresh=REFRESH_IN_LIVE * LIVE_IN_STEPS * alone,
        )


@dataclass(frozen=True, kw_only=True)
class Duration:
    """What an experiment takes.

    Attributes:
        seconds: From its first job's start to its last one's end, if no other experiment takes slots.
        arms: Seconds of the jobs of each arm.
        statistics: The share of all these that live statistics and refreshes take.
    """

    seconds: float
    arms: Mapping[str, float]
    statistics: float


def duration(spec: ExperimentSpec, costs: Mapping[str, Costs], slots: int) -> Duration:
    """Place the jobs of an experiment on so many slots, each where one is free first, as the dispatcher does."""
    arms, watching, taken = dict.fromkeys(spec.arms, 0.0), 0.0, []
    for arm in spec.arms:
        blocks, job = len(_blocks(spec, arm)), job_seconds(spec, costs[arm])
        taken += [job] * blocks
        arms[arm] += job * blocks
        watching += _observed(spec, costs[arm]) * blocks
    seconds = place_jobs(taken, slots)
    return Duration(seconds=seconds, arms=arms, statistics=watching / sum(arms.values()))


def passes(spec: ExperimentSpec, arm: str) -> int:
    """Passes with their gradients that a step of an arm is about as much as."""
    chosen = strategy(arm)
    exact = surrogate_choices(spec).estimator == "exact"  # which takes a pass an output
    order = max(SECOND_ORDER, spec.data.task.outputs) if exact else SECOND_ORDER
    return max(1, chosen.replicas) + (order - 1) * chosen.second_order


def job_seconds(spec: ExperimentSpec, cost: Costs) -> float:
    """What one job of an experiment takes, beside others or not."""
    job = HANDOVER_SECONDS + cost.once + spec.train.steps * cost.step + _observed(spec, cost)
    return job + len(evaluation_steps(spec)) * cost.evaluation + len(picture_steps(spec)) * cost.picture


def _observed(spec: ExperimentSpec, cost: Costs) -> float:
    return len(live_steps(spec)) * cost.live + len(refresh_steps(spec)) * cost.refresh


def place_jobs(taken: Iterable[float], slots: int) -> float:
    """Seconds until the last of these jobs has ended, each placed where a slot is free first."""
    free = [0.0] * slots
    for seconds in taken:
        free[free.index(min(free))] += seconds
    return max(free)


def refresh_seconds(spec: ExperimentSpec, arm: str, each: float, slots: int) -> float:
    """Of a refresh on request: of all blocks of an arm, ``each`` so many seconds."""
    return -(-len(_blocks(spec, arm)) // slots) * (HANDOVER_SECONDS + each)


def stacked_seeds(spec: ExperimentSpec, arm: str) -> int:
    """Seeds of the largest block that an experiment has of this arm."""
    return max(map(len, _blocks(spec, arm)))


def _blocks(spec: ExperimentSpec, arm: str) -> list[list[int]]:
    return seed_blocks(spec.seed_list(), seeds_together(spec, arm))


def cost_key(spec: ExperimentSpec) -> str:
    """Equal keys have equal costs: all that decides what a part of a job takes, and nothing that only says how often."""
    table = spec.to_table()
    parts = {name: table[name] for name in ("data", "model", "p", "language")}
    parts |= {"train": {name: value for name, value in table["train"].items() if name not in WITHOUT_COST}}
    parts |= {"surrogate": surrogate_choices(spec).to_table(), "source": spec.data.source()}
    parts |= {
        "probe": spec.observe.probe,
        "masks": spec.observe.masks,
        "refreshes": spec.observe.refreshes > 0,
    }
    parts |= {"arms": {arm: stacked_seeds(spec, arm) for arm in spec.arms}}
    if any(strategy(arm).switches for arm in spec.arms):
        parts["steps"] = spec.train.steps  # which decide how much of an arm comes after its switch
    parts |= {"device": settings.device(), "threads": settings.threads(settings.slots())}
    parts |= {"code": code_version(), "torch": settings.version_of("torch")}
    parts |= {"extensions": [extension_digests(spec, arm) for arm in spec.arms]}
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def shown_seconds(seconds: float) -> str:
    """A time for a person, as exact as an estimate is: ``6 s``, ``4 min``, ``1.5 h``."""
    if seconds < 10:
        return f"{max(1.0, seconds):.0f} s"
    if seconds < 99:
        return f"{round(seconds / 5) * 5} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def guessed(spec: ExperimentSpec, slots: int) -> str:
    """One line where nothing was measured: ``roughly 25 s``."""
    costs = {arm: Costs.rough(spec, arm) for arm in spec.arms}
    return f"roughly {shown_seconds(duration(spec, costs, slots).seconds)}"


def told(found: Duration) -> str:
    """One line: ``about 25 s here; statistics 6 % of it``."""
    line = f"about {shown_seconds(found.seconds)} here"
    share = round(100 * found.statistics)
    return f"{line}; statistics {share or 'under 1'} % of it" if found.statistics else line
