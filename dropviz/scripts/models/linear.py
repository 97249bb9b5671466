"""The linear model as code."""

from __future__ import annotations

from dropviz.models.linear import INITIAL_SPREAD, Linear
from dropviz.scripts.network import ScriptNetwork, drawn_weights, flat, function
from dropviz.task import Task


def write(model: Linear, task: Task) -> ScriptNetwork:
    """One layer."""
    z = 'affine(h{mask}, w["weight"], w["bias"])'
    slopes = [f"h = {flat(task)}", f"z = {z.format(mask='')}"]
    slopes += ['s = (directions(z) @ w["weight"].T)[None]  # the same for every row']
    says = "Logits z, and by site its units h and the slopes of z's ``directions`` in h."
    return ScriptNetwork(
        says=f"Logits (n, {task.outputs}) of examples x: one linear layer.",
        lines=[f"h = {flat(task)}"],
        logits=z.format(mask=' * mask["input"]'),
        shapes={"weight": (task.inputs, task.outputs), "bias": (task.outputs,)},
        initial=drawn_weights(
            "initial/linear", "Small normal weights, zero bias.", repr(INITIAL_SPREAD), ["bias"]
        ),
        sites={"input": f"(BATCH, {task.inputs})"},
        last=("input", 'w["weight"]'),
        slopes=function("with_slopes(w, x)", says, [*slopes, 'return z, {"input": (h, s)}']),
    )
