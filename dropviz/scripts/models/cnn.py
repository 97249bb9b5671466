"""The convolutional network as code."""

from __future__ import annotations

from dropviz.models.cnn import Cnn
from dropviz.models.normalization import groups_of
from dropviz.scripts.network import ACTIVATIONS, ScriptNetwork, drawn_weights, masked
from dropviz.task import Task

RULE = 'sqrt(2 / (prod(shape[1:]) if "kernel" in name else shape[0]))'

OF_CHANNELS = ("gain", "shift", "mean", "variance")


def write(model: Cnn, task: Task) -> ScriptNetwork:
    """Two lines a block."""
    shapes = model.shapes(task)
    sites, head = model.sites(), bool(model.head)
    lines = ["h = x" + masked("input", sites)]
    for block in range(1, len(model.channels) + 1):
        lines += _block(model, task, block, sites)
    lines += ["h = h.flatten(-3)"]
    if head:
        lines += [f'h = {ACTIVATIONS[model.activation]}(affine(h, w["head_weight"], w["head_bias"]))']
    blocks = len(model.channels)
    return ScriptNetwork(
        says=f"Logits (n, {task.outputs}) of images x: {blocks} block{'s' * (blocks > 1)} of convolution and pooling.",
        lines=lines,
        logits=f'affine(h{masked("head", sites)}, w["output_weight"], w["output_bias"])',
        shapes={name: shape[1:] if name.endswith("_bias") else shape for name, shape in shapes.items()},
        initial=drawn_weights(
            "initial/cnn",
            "He-normal weights (He et al. 2015), zero biases.",
            RULE,
            ["bias", *(kind for kind in OF_CHANNELS if f"{kind}1" in shapes)],
        ),
        sites={site: _shape(model, task, site) for site in sites},
        averages=model.norm == "batch",
        last=("head", 'w["output_weight"]') if "head" in sites else None,
    )


def _block(model: Cnn, task: Task, block: int, sites: tuple[str, ...]) -> list[str]:
    a = f'convolved(h, w["kernel{block}"]'
    if model.norm == "none":
        a += f', w["bias{block}"])'
    elif model.norm == "batch":
        a = f"running_norm({a}), w, {block}, past)"
    else:
        groups = groups_of(model.channels[block - 1])
        a = f'group_norm({a}), {groups}, w["gain{block}"], w["shift{block}"])'
    branch = f"{ACTIVATIONS[model.activation]}({a})"
    branch += masked(f"hidden{block}", sites) + masked(f"channel{block}", sites)
    before = task.shape[0] if block == 1 else model.channels[block - 2]
    skip = "h + " if model.residual and before == model.channels[block - 1] else ""
    window = tuple(min(2, size) for size in model.sizes(task)[block - 1])
    return [f"h = {skip}{branch}", f"h = {model.pooling}_pooled(h, {window})"]


def _shape(model: Cnn, task: Task, site: str) -> str:
    if site == "head":
        return f"(BATCH, {model.head})"
    if site == "input":
        return f"(BATCH, {', '.join(map(str, task.shape))})"
    block = int(site.removeprefix("hidden").removeprefix("channel"))
    channels, (height, width) = model.channels[block - 1], model.sizes(task)[block - 1]
    return (
        f"(BATCH, {channels}, {height}, {width})"
        if site.startswith("hidden")
        else f"(BATCH, {channels}, 1, 1)"
    )
