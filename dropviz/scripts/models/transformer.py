"""The Transformer language model as code: loops over layers, which are all alike."""

from __future__ import annotations

from dropviz.models.transformer import INITIAL_SPREAD, Transformer
from dropviz.scripts.feedforward import feedforward
from dropviz.scripts.network import ScriptNetwork, function, masked
from dropviz.scripts.recurrence import embedding, language_network
from dropviz.task import Task


def write(model: Transformer, task: Task) -> ScriptNetwork:
    """Attention and feed-forward nets as functions of the layer."""
    sites = model.sites()
    kinds = {model.places()[site] for site in sites}
    places = "h = h + sinusoids(torch.arange(x.shape[1], dtype=torch.float32))"
    residual = [
        masked(f"residual_{part}{{layer}}", kinds, "residual") for part in ("attention", "feedforward")
    ]
    lines = [
        f"h = sqrt(WIDTH) * {embedding(sites)}",
        *([] if model.relative else [places]),
        *([f"h = h{masked('input', sites)}"] if "input" in sites else []),
        "for layer in range(1, LAYERS + 1):",
        f"    h = h + attention(w, layer, h, mask, past){residual[0]}",
        f"    h = h + feedforward(w, layer, h, mask){residual[1]}",
        'h = layer_norm(h, w["norm_gain"], w["norm_shift"])',
    ]
    return language_network(
        model.name,
        task,
        says=f"Logits of the next tokens (streams · tokens, {task.outputs}): {model.title}.",
        lines=lines,
        sites={site: _shape(model, task, site) for site in sites},
        tied=model.tied,
        last_is_plain=True,
        shapes={
            name: shape[1:] if name.rstrip("0123456789").endswith(("gain", "shift", "bias")) else shape
            for name, shape in model.shapes(task).items()
        },
        initial=_initial(model),
        settings={
            "LAYERS": (repr(model.layers), "of attention and feed-forward each"),
            "WIDTH": (repr(model.width), "numbers that stand for a token"),
            "HEADS": (repr(model.heads), "of attention"),
            "MEMORY": (repr(model.memory), "tokens before a segment that each layer remembers"),
        },
        weight_sites=[site for site in sites if site in model.dropped_parameters()],
        helpers="\n\n\n".join([_attention(model, kinds), feedforward(model.activation, kinds)]),
    )


def _initial(model: Transformer) -> str:
    into_sum = 'name.startswith(("merge_weight", "outer_weight"))'
    lines = [
        'random = generator("initial/transformer")',
        "w = {}",
        "for name, shape in SHAPES.items():",
        '    if "weight" in name or name == "embedding":',
        f"        spread = {INITIAL_SPREAD} / (sqrt({2 * model.layers}) if {into_sum} else 1)",
        "        value = spread * random.standard_normal(shape)",
        "    else:",
        '        value = np.full(shape, float("gain" in name))',
        "    w[name] = torch.tensor(value, dtype=torch.float32, requires_grad=True)",
        "return w",
    ]
    says = "Normal weights, smaller where they write into the sum over layers (GPT-2); gains one, the others zero."
    return "from math import sqrt\n\nimport numpy as np\nimport torch\n\n\n" + function(
        "initial_weights()", says, lines
    )


def _shape(model: Transformer, task: Task, site: str) -> str:
    keys = f"{model.memory} + SEGMENT" if model.memory else "SEGMENT"
    return {
        "embedding": f"({task.outputs}, 1)",
        "attention": f"(BATCH, {model.heads}, SEGMENT, {keys})",
        "feedforward": f"(BATCH, SEGMENT, {model.feedforward})",
    }.get(model.places()[site], f"(BATCH, SEGMENT, {model.width})")


def _attention(model: Transformer, kinds: set[str]) -> str:
    scores = f"{'relative' if model.relative else 'absolute'}_scores(w, layer, query, key)"
    seen, own = ("seen", "rows[:, -h.shape[1] :]") if model.memory else ("h", "rows")
    lines = [
        *(["seen, missing = remembered(layer, h, past)"] if model.memory else []),
        f'rows = layer_norm({seen}, w[f"attention_gain{{layer}}"], w[f"attention_shift{{layer}}"])',
        f'query = times({own}, w[f"query_weight{{layer}}"])',
        'both = affine(rows, w[f"key_value_weight{layer}"], w[f"key_value_bias{layer}"])',
        "key, value = (in_heads(part) for part in both.chunk(2, -1))",
        f"scores = {scores} + visible(h.shape[1], key.shape[-2], {'missing' if model.memory else 0})",
        "chances = scores.softmax(-1)" + masked("attention{layer}", kinds, "attention"),
        "found = (chances @ value).transpose(-2, -3).flatten(-2)",
        'return affine(found, w[f"merge_weight{layer}"], w[f"merge_bias{layer}"])',
    ]
    return function(
        "attention(w, layer, h, mask, past)",
        "What the attention of a layer adds to its tokens (streams, tokens, width).",
        lines,
    )
