"""The QRNN language model as code."""

from __future__ import annotations

from dropviz.models.qrnn import Qrnn
from dropviz.scripts.network import ScriptNetwork, masked
from dropviz.scripts.recurrence import recurrent
from dropviz.task import Task


def write(model: Qrnn, task: Task) -> ScriptNetwork:
    """Gates, then what runs along the text."""

    def layer(number: int) -> list[str]:
        weight = f'w["input_weight{number}"]' + masked(f"weights{number}", model.sites())
        wide = number == 1 and model.window == 2
        return [
            *([f"h = with_token_before({number}, h, past)"] if wide else []),
            f'a = gates(h, {weight}, w["bias{number}"])',
            f"h = qrnn({number}, a, past)",
        ]

    return recurrent(model, task, layer)
