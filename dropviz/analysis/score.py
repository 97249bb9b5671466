"""What a gain is measured by, in words: the score's name, its unit, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

from dropviz.task import Task


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of a task as people read it.

    Attributes:
        metric: ``accuracy`` or ``loss``, as in ``test/loss``.
        unit: What an amount of it is counted in; empty where it has no unit.
        factor: From the metric to that unit.
        digits: Decimals of an amount.
        less_is_better: Whether a gain lowers it.
        meaning: What the number is, where its name does not say it.
    """

    metric: str
    unit: str
    factor: float = 1.0
    digits: int = 3
    less_is_better: bool = True
    meaning: str = ""

    def axis(self, split: str) -> str:
        """The title of an axis, such as ``test loss in nats a word (lower is better)``."""
        unit = f" in {self.unit}" if self.unit and self.less_is_better else ""
        return f"{split} {self.metric}{unit}{' (lower is better)' if self.less_is_better else ''}"

    def amount(self, value: float) -> str:
        """An amount of the metric, in its unit: ``8.3`` of 0.083 accuracy."""
        return f"{self.factor * value:z.{self.digits}f}".replace("-", "−")

    def bracket(self, lower: float | None, upper: float | None) -> str:
        """An interval behind an amount: `` [7.1, 9.5]``; nothing where it has no bounds."""
        return "" if lower is None or upper is None else f" [{self.amount(lower)}, {self.amount(upper)}]"


def score_of(task: Task, metric: str | None = None) -> Score:
    """How to speak of this metric of a task, by default of the one that its gains are measured by."""
    metric = metric or task.score
    if metric == "accuracy":
        return Score(metric=metric, unit="points", factor=100, digits=1, less_is_better=False)
    if task.kind == "regression":
        meaning = "half the squared error of the standardized target"
        return Score(metric=metric, unit="", meaning=meaning)
    return Score(metric=metric, unit=f"nats a {task.token}" if task.kind == "language" else "nats")


def levels(task: Task, before: float, after: float) -> str:
    """Two losses of a text in the unit that is usual for it, such as ``from perplexity 135 to 124``."""
    if task.token == "character":
        return f"from {before / log(2):.3f} to {after / log(2):.3f} bits a character"
    return f"from perplexity {_perplexity(before)} to {_perplexity(after)}"


def _perplexity(loss: float) -> str:
    value = exp(min(loss, 700.0))
    return f"{value:,.1f}" if value < 1e6 else f"{value:.2g}"
