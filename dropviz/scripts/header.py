"""What stands at the head of a script: what it does, how to run it, what to expect."""

from __future__ import annotations

import platform
import textwrap

from dropviz import settings
from dropviz.experiment import ExperimentSpec
from dropviz.scripts.arms import Objective
from dropviz.scripts.data import ScriptData
from dropviz.strategies import Strategy

WIDTH = 110
NEEDED = ("torch", "numpy")
EXPECTED = (
    "On a CPU it prints the numbers that a run records: the same operations on the same random numbers. Where another processor,"
    " another version of torch or a sum in another order rounds the last digit differently, that grows as training goes on: the"
    " first points then agree to six digits, later ones less and less."
)


def header(spec: ExperimentSpec, chosen: Strategy, seed: int, objective: Objective, data: ScriptData) -> str:
    """The module's docstring."""
    versions = ", ".join(f"{name} {settings.version_of(name)}" for name in (*NEEDED, *data.packages))
    beside = f" {' and '.join(data.files)} must lie beside this file." if data.files else ""
    paragraphs = [
        f"{chosen.name} on {spec.title()}, seed {seed}.",
        f"One network, trained in plain PyTorch on {spec.data.title}. A step goes down along the gradient of {objective.formula}. After Wei, Kakade & Ma, The Implicit and Explicit"
        " Regularization Effects of Dropout, ICML 2020, arXiv:2002.12915.",
        "ε is the noise at the dropout sites, where a mask is 1 + ε; v is its variance, J the Jacobian of the logits in ε, H_out the"
        " Hessian of the loss in the logits, ξ the noise of the gradient. w are the weights.",
        f"Run it with `python train.py`. It was written for Python {platform.python_version()} with {versions}.{beside} {EXPECTED}",
        f"Written by DropViz from the experiment {spec.digest()[:12]}. Made to be read, changed and pasted from.",
    ]
    filled = "\n\n".join(textwrap.fill(paragraph, WIDTH, break_on_hyphens=False) for paragraph in paragraphs)
    return f'"""{filled}\n"""'
