"""The deep linear network as code."""

from __future__ import annotations

from dropviz.models.deep_linear import DeepLinear
from dropviz.scripts.network import ScriptNetwork, drawn_weights, flat, function, masked
from dropviz.task import Task


def write(model: DeepLinear, task: Task) -> ScriptNetwork:
    """A product a layer."""
    depth, sites = len(model.widths), model.sites()
    sizes = {"input": task.inputs} | {f"hidden{i + 1}": width for i, width in enumerate(model.widths)}
    lines = [f"h = {flat(task)}{masked('input', sites)}"]
    for layer in range(1, depth + 1):
        mask = masked(f"hidden{layer}", sites) if layer < depth else ""
        lines.append(f'h = times(h, w["weight{layer}"]){mask}')
    last = f"hidden{depth}"
    return ScriptNetwork(
        says=f"Logits (n, {task.outputs}) of examples x: {depth + 1} linear layers.",
        lines=lines,
        logits=f'affine(h{masked(last, sites)}, w["weight{depth + 1}"], w["bias"])',
        shapes={
            name: shape if name.startswith("weight") else shape[1:]
            for name, shape in model.shapes(task).items()
        },
        initial=drawn_weights(
            "initial/deep-linear",
            "Normal weights of variance 1 / fan-in (LeCun et al. 1998), zero bias.",
            "shape[0] ** -0.5",
            ["bias"],
        ),
        sites={site: f"(BATCH, {sizes[site]})" for site in sites},
        last=(last, f'w["weight{depth + 1}"]') if last in sites else None,
        slopes=_slopes(depth, sites, task),
    )


def _slopes(depth: int, sites: tuple[str, ...], task: Task) -> str:
    """What follows a unit is the same for every example: products of weights."""
    places = ["input", *(f"hidden{layer}" for layer in range(1, depth + 1))]
    lines = [f"h0 = {flat(task)}"]
    lines += [f'h{layer} = times(h{layer - 1}, w["weight{layer}"])' for layer in range(1, depth + 1)]
    lines += [f'z = affine(h{depth}, w["weight{depth + 1}"], w["bias"])', "s = directions(z)"]
    for layer in range(depth, places.index(sites[0]) - 1, -1):
        below = "s" if layer == depth else f"s{layer + 1}"
        lines.append(f's{layer} = times({below}, w["weight{layer + 1}"].T)')
    pairs = ", ".join(f'"{site}": (h{places.index(site)}, s{places.index(site)}[None])' for site in sites)
    says = "Logits z, and by site its units h and the slopes of z's ``directions`` in h: products of weights."
    return function("with_slopes(w, x)", says, [*lines, f"return z, {{{pairs}}}"])
