"""The GRU language model as code."""

from __future__ import annotations

from dropviz.models.gru import Gru
from dropviz.scripts.network import ScriptNetwork, masked
from dropviz.scripts.recurrence import recurrent
from dropviz.task import Task


def write(model: Gru, task: Task) -> ScriptNetwork:
    """Two lines a layer."""

    def layer(number: int) -> list[str]:
        weight = f'w["recurrent_weight{number}"]' + masked(f"recurrent{number}", model.sites())
        return [
            f'given = affine(h, w["input_weight{number}"], w["bias{number}"])',
            f"h = gru({number}, given, {weight}, past)",
        ]

    return recurrent(model, task, layer)
