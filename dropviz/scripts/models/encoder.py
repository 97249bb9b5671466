"""The Transformer encoder as code: loops over layers, which are all alike."""

from __future__ import annotations

from math import prod

from dropviz.models.encoder import Encoder
from dropviz.scripts.feedforward import feedforward
from dropviz.scripts.network import ScriptNetwork, drawn_weights, flat, function, masked
from dropviz.task import Task

RULE = '(WIDTH if name in ("position", "feature") else shape[0]) ** -0.5'


def write(model: Encoder, task: Task) -> ScriptNetwork:
    """Attention and feed-forward nets as functions of the layer."""
    sites = model.sites()
    kinds = {site.rstrip("0123456789") for site in sites}
    patches = len(task.shape) == 3
    tokens = 'times(patches(x), w["patch_weight"])' if patches else f'{flat(task)}[..., None] * w["feature"]'
    added = masked("residual_attention{layer}", kinds, "residual_attention")
    further = masked("residual_feedforward{layer}", kinds, "residual_feedforward")
    lines = [
        f'h = ({tokens} + w["position"]){masked("embedding", sites)}',
        "for layer in range(1, LAYERS + 1):",
        f"    h = h + attention(w, layer, h, mask){added}",
        f"    h = h + feedforward(w, layer, h, mask){further}",
        'h = layer_norm(h, w["norm_gain"], w["norm_shift"]).mean(-2)',
    ]
    return ScriptNetwork(
        says=f"Logits (n, {task.outputs}) of examples x: layers of attention and feed-forward nets, and the mean token.",
        lines=lines,
        logits=f'affine(h{masked("output", sites)}, w["output_weight"], w["output_bias"])',
        shapes={
            name: shape[1:] if name.rstrip("0123456789").endswith(("gain", "shift", "bias")) else shape
            for name, shape in model.shapes(task).items()
        },
        initial=drawn_weights(
            "initial/encoder",
            "Normal weights of variance 1 / fan-in (LeCun et al. 1998), gains one, biases and shifts zero.",
            RULE,
            ["bias", "gain", "shift"],
        ),
        sites={site: _shape(model, task, site) for site in sites},
        last=("output", 'w["output_weight"]') if "output" in sites else None,
        helpers="\n\n\n".join(
            [
                _attention(kinds),
                feedforward(model.activation, kinds),
                *([_patches(model, task)] if patches else []),
            ]
        ),
        settings={
            "LAYERS": (repr(model.layers), "of attention and feed-forward each"),
            "WIDTH": (repr(model.width), "numbers that stand for a token"),
            "HEADS": (repr(model.heads), "of attention"),
        },
    )


def _shape(model: Encoder, task: Task, site: str) -> str:
    tokens = model.tokens(task)
    return {
        "attention": f"(BATCH, {model.heads}, {tokens}, {tokens})",
        "feedforward": f"(BATCH, {tokens}, {model.feedforward})",
        "output": f"(BATCH, {model.width})",
    }.get(site.rstrip("0123456789"), f"(BATCH, {tokens}, {model.width})")


def _attention(kinds: set[str]) -> str:
    return "from math import sqrt\n\n\n" + function(
        "attention(w, layer, h, mask)",
        "What the attention of a layer adds to its tokens (…, n, tokens, width).",
        [
            'rows = layer_norm(h, w[f"attention_gain{layer}"], w[f"attention_shift{layer}"])',
            'rows = affine(rows, w[f"query_key_value_weight{layer}"], w[f"query_key_value_bias{layer}"])',
            "parts = (part.unflatten(-1, (HEADS, -1)).transpose(-2, -3) for part in rows.chunk(3, -1))",
            "query, key, value = parts",
            "chances = (query * sqrt(HEADS / WIDTH) @ key.transpose(-1, -2)).softmax(-1)"
            + masked("attention{layer}", kinds, "attention"),
            "found = (chances @ value).transpose(-2, -3).flatten(-2)",
            'return affine(found, w[f"merge_weight{layer}"], w[f"merge_bias{layer}"])',
        ],
    )


def _patches(model: Encoder, task: Task) -> str:
    high, wide = (min(model.patch, size) for size in task.shape[1:])
    beyond = (-task.shape[2] % wide, -task.shape[1] % high)
    filled = f"functional.pad(x, (0, {beyond[0]}, 0, {beyond[1]}))" if prod(beyond) or sum(beyond) else "x"
    return "from torch.nn import functional\n\n\n" + function(
        "patches(x)",
        f"Images as tokens, {high} × {wide} pixels each, row by row: (n, tokens, pixels).",
        [
            f"x = {filled}.unflatten(3, (-1, {wide})).unflatten(2, (-1, {high}))",
            "return x.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)",
        ],
    )
