"""What the recurrent language models have in common as code."""

from __future__ import annotations

from collections.abc import Callable

from dropviz.models.gated import Gated
from dropviz.models.recurrent import Recurrent
from dropviz.scripts.network import ScriptNetwork, function, masked
from dropviz.task import Task

INITIAL = [
    "w = {}",
    "for name, shape in SHAPES.items():",
    '    if "bias" in name:',
    "        value = np.zeros(shape)",
    "    else:",
    '        bound = 0.1 if name in ("embedding", "output_weight") else (shape[1] / GATES) ** -0.5',
    "        value = random.uniform(-bound, bound, shape)",
    "    w[name] = torch.tensor(value, dtype=torch.float32, requires_grad=True)",
    "return w",
]


def gated(model: Gated, task: Task) -> ScriptNetwork:
    """The LSTM and the GRU, whose layers are functions of their names: two lines a layer."""

    def layer(number: int) -> list[str]:
        weight = f'w["recurrent_weight{number}"]' + masked(f"recurrent{number}", model.sites())
        return [
            f'given = affine(h, w["input_weight{number}"], w["bias{number}"])',
            f"h = {model.name}({number}, given, {weight}, past)",
        ]

    return recurrent(model, task, layer)


def recurrent(model: Recurrent, task: Task, layer_lines: Callable[[int], list[str]]) -> ScriptNetwork:
    """Embedding, layers, output.

    Args:
        model, task: What is written.
        layer_lines: Of a layer: from ``h`` below it to ``h`` above it.
    """
    sites, last = model.sites(), model.layers
    lines = [f"h = {embedding(sites)}{masked('input', sites)}"]
    for layer in range(1, last + 1):
        *before, final = layer_lines(layer)
        lines += [*before, final + (masked(f"hidden{layer}", sites) if layer < last else "")]
    return language_network(
        model.name,
        task,
        says=f"Logits of the next tokens (streams · tokens, {task.outputs}): {model.title}, from the state in ``past`` on.",
        lines=lines,
        sites={site: _shape(model, task, site) for site in sites},
        tied=model.tied,
        last_is_plain=not model.locked,
        shapes={name: shape[1:] if "bias" in name else shape for name, shape in model.shapes(task).items()},
        initial=_initial(model),
        settings={"GATES": (repr(model.gates), "numbers that a unit of a recurrent layer asks for")},
        weight_sites=[site for site in sites if site in model.dropped_parameters()],
    )


def language_network(
    name: str,
    task: Task,
    *,
    says: str,
    lines: list[str],
    sites: dict[str, str],
    tied: bool,
    last_is_plain: bool,
    shapes: dict[str, tuple[int, ...]],
    initial: str,
    settings: dict[str, tuple[str, str]],
    weight_sites: list[str],
    helpers: str = "",
) -> ScriptNetwork:
    """A language model whose output may be tied to its embedding."""
    weight = 'w["embedding"].T' if tied else 'w["output_weight"]'
    joined = f"({', '.join(repr(site) for site in weight_sites)}{',' * (len(weight_sites) == 1)})".replace(
        "'", '"'
    )
    return ScriptNetwork(
        says=says,
        lines=lines,
        logits=f'affine(h{masked("output", sites)}, {weight}, w["output_bias"]).flatten(0, 1)',
        shapes=shapes,
        initial=initial,
        sites=sites,
        last=("output", weight) if last_is_plain and "output" in sites else None,
        settings=settings | {"WEIGHT_SITES": (joined, "whose masks act on a weight, for all streams")},
        helpers=helpers,
        text=True,
        drops_weights=bool(weight_sites),
    )


def embedding(sites: tuple[str, ...]) -> str:
    """Tokens as rows of the embedding, which may be dropped."""
    drop = masked("embedding", sites)
    return f'embedded(x, w["embedding"]{drop})' if drop else 'functional.embedding(x, w["embedding"])'


def _initial(model: Recurrent) -> str:
    says = "Embedding and output uniform in ±0.1, layers in ±1/√units, biases zero."
    imports = "import numpy as np\nimport torch\n\n\n"
    lines = [f'random = generator("initial/{model.name}")', *INITIAL]
    return imports + function("initial_weights()", says, lines)


def _shape(model: Recurrent, task: Task, site: str) -> str:
    kind = model.places()[site]
    if kind == "embedding":
        return f"({task.outputs}, 1)"
    if kind == model.dropped_weights:
        shape = model.shapes(task)[model.dropped_parameters()[site]]
        return repr(shape)
    sizes = model.sizes()
    width = {"input": sizes[0], "output": sizes[-1]}.get(site, sizes[1])
    return f"(BATCH, {'1' if model.locked else 'SEGMENT'}, {width})"
