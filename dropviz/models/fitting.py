"""Which models can do a task, and which of them to begin with."""

from __future__ import annotations

from collections.abc import Mapping

from dropviz.models.model import Model
from dropviz.task import Task


def fitting(members: Mapping[str, type[Model]], task: Task) -> list[str]:
    """Names of the models that can do the task with the knobs that they come with, in the order of the members."""
    return [name for name, member in members.items() if not member.from_table({}).unfit(task)]


def usual(task: Task) -> str:
    """The model to begin with."""
    return "lstm" if task.kind == "language" else "mlp"
