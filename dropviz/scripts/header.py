"""What stands at the head of a script: what it does, how to run it, what to expect."""

from __future__ import annotations

import platform
import textwrap
from importlib import metadata

from dropviz.experiment import ExperimentSpec
from dropviz.scripts.arms import Objective
from dropviz.scripts.data import ScriptData
from dropviz.strategies import Strategy

WIDTH = 110
NEEDED = ("torch", "numpy")
EXPECTED = (
    "On a CPU its losses are those that the run recorded, up to the rounding of float32: sums are taken in another order."
    " A rounding grows as training goes on, so expect six digits at first and fewer after a thousand steps, and in a short run"
    " none that differs."
)


def header(spec: ExperimentSpec, chosen: Strategy, seed: int, objective: Objective, data: ScriptData) -> str:
    """The module's docstring."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in (*NEEDED, *data.packages))
    beside = f" {' and '.join(data.files)} must lie beside this file." if data.files else ""
    paragraphs = [
        f"One network, trained by {chosen.name} on {spec.data.title}: {spec.title()}, seed {seed}.",
        f"A step goes down along the gradient of {objective.formula}. After Wei, Kakade & Ma, The Implicit and Explicit"
        " Regularization Effects of Dropout, ICML 2020, arXiv:2002.12915.",
        f"Run it with `python train.py`. It was written for Python {platform.python_version()} with {versions}.{beside} {EXPECTED}",
        f"Written by DropViz from the experiment {spec.digest()[:12]}. Made to be read, changed and pasted from.",
    ]
    filled = "\n\n".join(textwrap.fill(paragraph, WIDTH) for paragraph in paragraphs)
    return f'"""{filled}\n"""'
