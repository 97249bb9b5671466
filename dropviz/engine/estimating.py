"""The job that measures what an experiment costs here: a few steps of each arm, and each thing that is looked at. Seconds at most.

No torch until it runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from dropviz.duration import REFRESH_IN_LIVE, Costs, stacked_seeds
from dropviz.engine.recorder import Ending
from dropviz.engine.series import Series
from dropviz.experiment import ExperimentSpec
from dropviz.strategies import strategy

if TYPE_CHECKING:
    from dropviz.training import Block

STEP_SECONDS = 0.1  # of each arm, to take the mean over: what draws random numbers ahead takes far longer than most steps
FEWEST_STEPS, MOST_TOGETHER = 2, 64
LOOK_SECONDS, MOST_LOOKS = 0.15, 5  # of each thing that is looked at, to take the median of all but the first
REPEATED_SECONDS = 0.5  # what takes longer the first time is taken as it is


def run(spec: ExperimentSpec, series: Series, device: str) -> Ending:
    """Measure the costs of every arm, one after the other: a point an arm, with its ``Costs`` as values."""
    from dropviz.training import Block, Record

    watch = Stopwatch(device)
    endless = spec.with_settings([f"train.steps={max(spec.train.steps, 100_000)}"])  # of which few are taken
    looks: dict[int, Looks] = {}
    steps: dict[tuple[str, int], float] = {}  # of so many seeds; arms that switch share those of their parts
    once = 0.0
    for index, arm in enumerate(spec.arms):
        seeds = stacked_seeds(spec, arm)
        for part, _ in strategy(arm).stretches(spec.train.steps):
            if (part.name, seeds) in steps:
                continue
            built = watch.now()
            block = Block(endless, part.name, range(spec.first_seed, spec.first_seed + seeds), device)
            built = watch.now() - built
            if seeds not in looks:
                looks[seeds] = Looks(spec, block, watch)
            steps[part.name, seeds], first = _step(block, watch)
            if len(steps) == 1:  # later blocks of this process find the data read, and everything warm
                once = built + first + looks[seeds].once
        series.put([], index + 1)
    records = []
    for arm in spec.arms:
        seeds = stacked_seeds(spec, arm)
        parts = strategy(arm).stretches(spec.train.steps)
        step = sum(count * steps[part.name, seeds] for part, count in parts) / spec.train.steps
        costs = looks[seeds].costs(once, step)
        values = watch.slowdown() * np.array(costs.to_values())
        records.append(Record(step=0, name=arm, values=values))
    series.put(records, len(records))
    return Ending(outcome="done")


class Stopwatch:
    """Takes the time of small pieces of work on a machine that does other things as well.

    One thread on a processor is timed by that processor's clock, and all of it is set to the wall's by the share of
    time that the whole got: a neighbour then slows everything alike, and not the piece that it happened to hit.
    """

    def __init__(self, device: str) -> None:
        import torch

        alone = device == "cpu" and torch.get_num_threads() == 1
        self.now = time.thread_time if alone else time.perf_counter
        self._started = time.perf_counter(), self.now()

    def seconds(self, act: Callable[[], object]) -> float:
        """What a piece of work takes."""
        started = self.now()
        act()
        return self.now() - started

    def slowdown(self) -> float:
        """Seconds on the wall for each of ``seconds``, so far."""
        wall, own = self._started
        return (time.perf_counter() - wall) / (self.now() - own)


class Looks:
    """Seconds of what is looked at, which are those of every arm with as many seeds.

    Attributes:
        once: What a job spends a single time: on the test split, and on first times beyond what is usual.
    """

    def __init__(self, spec: ExperimentSpec, block: Block, watch: Stopwatch) -> None:
        from dropviz.statistics import statistics

        self.watch, self.once = watch, 0.0
        live, refresh = ([one for one in statistics() if one.tier == tier] for tier in ("live", "refresh"))
        self.evaluation = self._usual(lambda: block.evaluation.at(0))
        self.once += max(0.0, watch.seconds(lambda: block.evaluation.at(block.total)) - self.evaluation)
        self.picture = self._usual(lambda: block.evaluation.pictures(0))
        self.live = self._usual(lambda: block.observation.measure(live, 0, block.evaluation))
        self.refresh = REFRESH_IN_LIVE * self.live
        if spec.observe.refreshes:
            self.refresh = watch.seconds(lambda: block.observation.measure(refresh, 0, block.evaluation))

    def _usual(self, look: Callable[[], object]) -> float:
        found = [self.watch.seconds(look)]
        while found[0] < REPEATED_SECONDS and sum(found[1:]) < LOOK_SECONDS and len(found) < MOST_LOOKS:
            found.append(self.watch.seconds(look))
        usual = median(found[1:] or found)
        self.once += max(0.0, found[0] - usual)
        return usual

    def costs(self, once: float, step: float) -> Costs:
        """With the rest of an arm's costs."""
        return Costs(
            once=once,
            step=step,
            evaluation=self.evaluation,
            picture=self.picture,
            live=self.live,
            refresh=self.refresh,
        )


def _step(block: Block, watch: Stopwatch) -> tuple[float, float]:
    """Seconds of a step, a mean, and what the first one took beyond that."""
    first = watch.seconds(partial(_steps, block, 1))
    if first > REPEATED_SECONDS:
        return first, 0.0
    taken, steps, together = 0.0, 0, 1
    while steps < FEWEST_STEPS or taken < STEP_SECONDS:
        taken += watch.seconds(partial(_steps, block, together))
        steps, together = steps + together, min(MOST_TOGETHER, 2 * together)
    return taken / steps, max(0.0, first - taken / steps)


def _steps(block: Block, count: int) -> None:
    for _ in range(count):
        terms = block.update()
    terms.data.sum().item()  # waits for the device, as training does now and then
