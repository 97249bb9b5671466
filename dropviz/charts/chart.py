"""What a chart is, and what it needs to know of an experiment before there is any data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import plotly.graph_objects as go

from dropviz.analysis import FEWEST_SEEDS
from dropviz.datasets import Splits
from dropviz.experiment import ExperimentSpec, probe_rows
from dropviz.strategies import largest_k, strategy
from dropviz.task import Task

MOST_EXAMPLES = 300  # more would hide the picture below
Page = Literal["lab", "curvature"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The parts of a spec that decide how its charts look; hashable, so that skeletons can be cached.

    Attributes:
        arms: Names, in the order in which they were asked for.
        seeds: How many runs an interval is over.
        steps: Length of the x axis.
        masks: Mask draws behind a Monte Carlo point.
        extent: (x0, x1, y0, y1) of a planar data set, else None.
        data: Name of the data set.
        task: What it asks of a model.
        tokens: Of a text: its vocabulary and how it is cut, in words.
        clips: Whether gradients are clipped.
        examples: (x₁, x₂, class) of a planar set's training examples of the first seed, at most ``MOST_EXAMPLES``.
        probe: Training examples, or tokens, that statistics are measured on.
        parameters: Of one network.
        statistics: Whether live statistics are measured at all.
        refreshes: How many refreshes of the whole curvature the experiment asks for.
        pooled: Whether seeds come in from many runs, so that their number grows, and there is no picture of any one.
    """

    arms: tuple[str, ...]
    seeds: int
    steps: int
    masks: int
    extent: tuple[float, float, float, float] | None
    data: str
    task: Task
    tokens: str = ""
    clips: bool = False
    examples: tuple[tuple[float, float, int], ...] = ()
    probe: int = 64
    parameters: int = 1000
    statistics: bool = True
    refreshes: int = 0
    pooled: bool = False

    @classmethod
    @lru_cache(maxsize=128)
    def of(cls, spec: ExperimentSpec) -> Subject:
        """What the charts of this experiment need to know."""
        task = spec.data.task
        return cls(
            arms=spec.arms,
            seeds=spec.seeds,
            steps=spec.train.steps,
            masks=spec.observe.masks,
            extent=spec.data.extent if spec.data.planar else None,
            data=spec.data.name,
            task=task,
            tokens=spec.data.tokens_described() if task.kind == "language" else "",
            clips=spec.train.clip > 0,
            examples=_examples(spec) if spec.data.planar else (),
            probe=min(probe_rows(spec), getattr(spec.data, "train_size", probe_rows(spec))),
            parameters=spec.model.parameter_count(task),
            statistics=spec.observe.statistics != 0,
            refreshes=spec.observe.refreshes,
        )

    @property
    def largest_k(self) -> int | None:
        """The largest k of a plain dropout-k arm: the one that the explicit effect is read from."""
        return largest_k(self.arms)

    @property
    def switches(self) -> list[int]:
        """The steps at which any arm goes on as another one."""
        return sorted({step for arm in self.arms for step in strategy(arm).switches})

    @property
    def held_out(self) -> str:
        """What validation curves are of."""
        return f"Held-out {'text' if self.task.kind == 'language' else 'examples'}, dropout off"

    @property
    def measured(self) -> str:
        """What statistics are of."""
        unit = "tokens" if self.task.kind == "language" else "examples"
        return f"Loss at ε = 0 on a fixed probe of {self.probe:,} training {unit}"

    def intervals(self, of_few: str, what: str = "bands") -> str:
        """What the bands or error bars of a chart show: an interval over seeds, and of a few seeds the estimate's own error."""
        few = self.seeds < FEWEST_SEEDS and not self.pooled
        return f"{what}: {of_few if few else '95 % t interval'}"

    @property
    def band(self) -> str:
        """What the shaded bands show."""
        if self.pooled:
            return "95 % t interval over all seeds"
        seeds = "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"
        return f"{seeds}: anecdote" if self.seeds < FEWEST_SEEDS else f"95 % t interval, {seeds}"


def _examples(spec: ExperimentSpec) -> tuple[tuple[float, float, int], ...]:
    splits = spec.data.load(spec.first_seed)
    assert isinstance(splits, Splits)
    pairs = zip(splits.x_train[:MOST_EXAMPLES].tolist(), splits.y_train[:MOST_EXAMPLES].tolist(), strict=True)
    return tuple((round(x[0], 3), round(x[1], 3), y) for x, y in pairs)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart of the board.

    Attributes:
        name: A stable identifier.
        place: Reading order on the page.
        title: Heading above the chart.
        subtitle: What is drawn and how to read it, for this subject.
        figure: The empty figure for this subject.
        metrics: The metrics that it reads; ``*`` stands for any name of a layer or site.
        log: Whether its y axis starts out logarithmic; None where a scale makes no sense.
        wide: Whether it takes the whole width.
        shown: Whether it has anything to show for this subject.
        page: The page that it belongs to.
        fold: The heading of the folded group that it lies in, if any.
        at_step: Whether it shows one step, which the page's scrubber chooses.
        one_arm: Whether it shows one arm, which the page's menu chooses.
        refreshed: Whether it waits for a refresh of the whole curvature.
    """

    name: str
    place: int
    title: str
    subtitle: Callable[[Subject], str]
    figure: Callable[[Subject], go.Figure]
    metrics: tuple[str, ...]
    log: bool | None = False
    wide: bool = False
    shown: Callable[[Subject], bool] = lambda subject: True
    page: Page = "lab"
    fold: str = ""
    at_step: bool = False
    one_arm: bool = False
    refreshed: bool = False
