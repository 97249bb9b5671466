"""The LSTM language model as code."""

from __future__ import annotations

from dropviz.models.lstm import Lstm
from dropviz.scripts.network import ScriptNetwork, masked
from dropviz.scripts.recurrence import recurrent
from dropviz.task import Task


def write(model: Lstm, task: Task) -> ScriptNetwork:
    """Two lines a layer."""

    def layer(number: int) -> list[str]:
        weight = f'w["recurrent_weight{number}"]' + masked(f"recurrent{number}", model.sites())
        return [
            f'given = affine(h, w["input_weight{number}"], w["bias{number}"])',
            f"h = lstm({number}, given, {weight}, past)",
        ]

    return recurrent(model, task, layer)
