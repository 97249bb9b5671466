"""What a script has to know of a model: its forward pass as lines of code, and the tensors in it.

Shapes are those of one network: no seed axis. The forward pass is a function of the weights ``w``, the examples ``x`` and of the
``mask``, 1 + ε by site, which is 1 where nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from dropviz.task import Task

ACTIVATIONS = {"relu": "torch.relu", "tanh": "torch.tanh", "gelu": "functional.gelu"}


@dataclass(frozen=True, kw_only=True)
class ScriptNetwork:
    """A forward pass.

    Attributes:
        says: What it computes, in a line.
        lines: From ``x`` to the units ``h`` in front of the last mask.
        logits: What they become: an expression in ``h``.
        shapes: Weight → its shape, in the order in which they are drawn.
        initial: The source of ``initial_weights``.
        sites: Site → the shape of its mask, as code.
        last: The site whose units go straight into a linear output, and its weights (W, C) as code; None where there is none.
        slopes: The source of ``with_slopes`` where the chain rule is written out, see ``parts/jacobians``; else empty.
        helpers: The source of further functions that it calls.
        settings: What it reads beside the weights: name → (code, comment).
        text: Whether it reads a text, and takes and leaves its state in ``past``.
        drops_weights: Whether a mask acts on a weight, and so on all rows.
        averages: Whether averages run along, which a step takes and leaves in ``past`` too.
        handed: What ``lines`` leave to ``logits``, where that is more than ``h``.
    """

    says: str
    lines: Sequence[str]
    logits: str
    shapes: Mapping[str, tuple[int, ...]]
    initial: str
    sites: Mapping[str, str]
    last: tuple[str, str] | None = None
    slopes: str = ""
    helpers: str = ""
    settings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    text: bool = False
    drops_weights: bool = False
    averages: bool = False
    handed: str = "h"

    @property
    def past(self) -> str:
        """The argument for what runs along, as code."""
        return ", past" if self.text or self.averages else ""


def function(head: str, says: str, lines: Sequence[str]) -> str:
    """A function's text."""
    return "\n".join([f"def {head}:", f'    """{says}"""', *(f"    {line}".rstrip() for line in lines)])


def at_ones(network: ScriptNetwork) -> list[str]:
    """The logits at ε = 0, to be differentiated in ε."""
    return ["mask = ones()", f"z = network(w, x, mask{network.past})"]


def masked(site: str, sites: Collection[str], kind: str = "") -> str:
    """Dropout at a site as code, nothing where the model does not drop there.

    Args:
        site: Its name; with a ``kind``, that of every layer, as the inside of an f-string.
        sites: Where the model drops; with a ``kind``, the kinds of these.
        kind: What to look for among them.
    """
    if (kind or site) not in sites:
        return ""
    return f' * mask[f"{site}"]' if kind else f' * mask["{site}"]'


def flat(task: Task) -> str:
    """The features of examples laid end to end, as code."""
    return "x" if len(task.shape) == 1 else "x.flatten(1)"


def network_source(network: ScriptNetwork, *, apart: bool) -> str:
    """``network``; with ``apart`` in two steps, as the closed form of the last site's share needs its units."""
    if not apart:
        return function(
            f"network(w, x, mask{network.past})", network.says, [*network.lines, f"return {network.logits}"]
        )
    return "\n\n\n".join(
        [
            function(
                f"hidden(w, x, mask{network.past})",
                "What the last mask is about to act on.",
                [*network.lines, f"return {network.handed}"],
            ),
            function(
                f"output(w, mask, {network.handed})",
                "The logits, behind the last mask.",
                [f"return {network.logits}"],
            ),
            function(
                f"network(w, x, mask{network.past})",
                network.says,
                [f"return output(w, mask, {'*' * (',' in network.handed)}hidden(w, x, mask{network.past}))"],
            ),
        ]
    )


def drawn_weights(stream: str, says: str, rule: str, kinds: Sequence[str]) -> str:
    """``initial_weights`` of normal numbers times the expression ``rule`` in ``name`` and ``shape``.

    Args:
        stream: The purpose of the stream that they come from.
        says: The docstring.
        rule: The standard deviation.
        kinds: What else there is in names: ``bias``, ``shift`` and ``mean`` are zeros, ``gain`` and ``variance`` ones. Means
            and variances are averages, which are not trained.
    """
    zeros, ones = (
        " or ".join(f'"{kind}" in name' for kind in found if kind in kinds)
        for found in (("bias", "shift", "mean"), ("gain", "variance"))
    )
    averages = ['    trained = not name.startswith(("mean", "variance"))'] if "mean" in kinds else []
    lines = [f'random = generator("{stream}")', "w = {}", "for name, shape in SHAPES.items():"]
    lines += [f"    if {zeros}:", "        value = np.zeros(shape)"]
    lines += [f"    elif {ones}:", "        value = np.ones(shape)"] if ones else []
    lines += [
        "    else:",
        f"        spread = {rule}",
        "        value = random.standard_normal(shape) * spread",
    ]
    lines += [
        *averages,
        f"    w[name] = torch.tensor(value, dtype=torch.float32, requires_grad={'trained' if averages else 'True'})",
        "return w",
    ]
    imports = "from math import prod, sqrt\n\nimport numpy as np\nimport torch\n\n\n"
    return imports + function("initial_weights()", says, lines)
