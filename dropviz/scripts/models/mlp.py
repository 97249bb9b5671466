"""The multilayer perceptron as code."""

from __future__ import annotations

from itertools import pairwise

from dropviz.models.mlp import Mlp
from dropviz.scripts.network import ACTIVATIONS, ScriptNetwork, drawn_weights, flat, function
from dropviz.task import Task


def write(model: Mlp, task: Task) -> ScriptNetwork:
    """A line a layer."""
    depth, sites = len(model.widths), model.sites()
    sizes = [task.inputs, *model.widths, task.outputs]
    lines = [f"h = {flat(task)}" + (' * mask["input"]' if "input" in sites else "")]
    for layer, (inputs, outputs) in enumerate(pairwise(sizes[:-1]), start=1):
        branch = _layer(model, layer)
        skip = model.residual and inputs == outputs
        masked = f' * mask["hidden{layer}"]' if f"hidden{layer}" in sites and layer < depth else ""
        if layer == depth and skip:
            lines += [f"skip, h = h, {branch}"]
        else:
            lines.append(f"h = {'h + ' if skip else ''}{branch}{masked}")
    skips = model.residual and sizes[depth - 1] == sizes[depth]
    last = f"hidden{depth}" if f"hidden{depth}" in sites else ""
    h = f'h * mask["{last}"]' if last else "h"
    h = f"skip + {h}" if skips else h
    kinds = ["bias", "gain", "shift"] if model.norm == "layer" else ["bias"]
    return ScriptNetwork(
        says=f"Logits (n, {task.outputs}) of examples x: a perceptron with {depth} hidden layer{'s' * (depth > 1)}.",
        lines=lines,
        logits=f'affine({h}, w["weight{depth + 1}"], w["bias{depth + 1}"])',
        shapes={
            name: shape if name.startswith("weight") else shape[1:]
            for name, shape in model.shapes(task).items()
        },
        initial=drawn_weights(
            "initial/mlp", "He-normal weights (He et al. 2015), zero biases.", "sqrt(2 / shape[0])", kinds
        ),
        sites={site: f"(BATCH, {_width(site, sizes)})" for site in sites},
        last=(last, f'w["weight{depth + 1}"]') if last else None,
        slopes=_slopes(model, task) if _plain_relu(model) else "",
        handed="h, skip" if skips else "h",
    )


def _layer(model: Mlp, layer: int) -> str:
    a = f'affine(h, w["weight{layer}"], w["bias{layer}"])'
    if model.norm == "layer":
        a = f'layer_norm({a}, w["gain{layer}"], w["shift{layer}"])'
    return f"{ACTIVATIONS[model.activation]}({a})"


def _width(site: str, sizes: list[int]) -> int:
    return sizes[0 if site == "input" else int(site.removeprefix("hidden"))]


def _plain_relu(model: Mlp) -> bool:
    """Whether the model itself has its Jacobians by the chain rule, so that rounding is the same here."""
    return model.activation == "relu" and model.norm == "none" and not model.residual


def _slopes(model: Mlp, task: Task) -> str:
    """The chain rule, layer by layer: a matrix product each instead of a backward pass a class."""
    depth, sites = len(model.widths), model.sites()
    lowest = min(0 if site == "input" else int(site.removeprefix("hidden")) for site in sites)
    lines = [f"h0 = {flat(task)}"]
    for layer in range(1, depth + 1):
        lines.append(f'h{layer} = torch.relu(affine(h{layer - 1}, w["weight{layer}"], w["bias{layer}"]))')
    lines.append(f'z = affine(h{depth}, w["weight{depth + 1}"], w["bias{depth + 1}"])')
    lines.append(f's{depth} = (directions(z) @ w["weight{depth + 1}"].T)[None]  # the same for every row')
    for layer in range(depth, lowest, -1):
        lines.append(f's{layer - 1} = (s{layer} * (h{layer} > 0)[:, None]) @ w["weight{layer}"].T')
    layers = {site: 0 if site == "input" else int(site.removeprefix("hidden")) for site in sites}
    pairs = ", ".join(f'"{site}": (h{layer}, s{layer})' for site, layer in layers.items())
    says = "Logits z, and by site its units h and the slopes of z's ``directions`` in h, by the chain rule."
    return function("with_slopes(w, x)", says, [*lines, f"return z, {{{pairs}}}"])
