"""What a chart is, and what it needs to know of an experiment before there is any data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import plotly.graph_objects as go

from dropviz.analysis import FEWEST_SEEDS
from dropviz.datasets import Splits
from dropviz.experiment import ExperimentSpec
from dropviz.strategies import largest_k
from dropviz.task import Task

MOST_EXAMPLES = 300  # more would hide the picture below


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
        )

    @property
    def largest_k(self) -> int | None:
        """The largest k of a plain dropout-k arm: the one that the explicit effect is read from."""
        return largest_k(self.arms)

    @property
    def held_out(self) -> str:
        """What validation curves are of."""
        return f"Held-out {'text' if self.task.kind == 'language' else 'examples'}, dropout off"

    @property
    def band(self) -> str:
        """What the shaded bands show."""
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
        metrics: The metrics that it reads.
        log: Whether its y axis starts out logarithmic; None where a scale makes no sense.
        wide: Whether it takes the whole width.
        shown: Whether it has anything to show for this subject.
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
