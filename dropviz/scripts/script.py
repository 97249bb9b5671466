"""A stand-alone PyTorch script of one arm at one seed, put together out of what each choice of the experiment contributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dropviz.choices import SpecError
from dropviz.experiment import ExperimentSpec
from dropviz.scripts.arms import Objective
from dropviz.scripts.assembling import Section, assemble, part
from dropviz.scripts.data import data_of
from dropviz.scripts.header import header
from dropviz.scripts.models import written
from dropviz.scripts.network import ScriptNetwork, network_source
from dropviz.scripts.settings import settings_source
from dropviz.scripts.switching import objective_source
from dropviz.scripts.training import training_source
from dropviz.strategies import strategy


@dataclass(frozen=True, kw_only=True)
class Script:
    """A Python file, and what has to lie beside it.

    Attributes:
        text: The file.
        files: Name → content; empty where the script makes its data itself.
    """

    text: str
    files: Mapping[str, bytes] = field(default_factory=dict)


def script_of(spec: ExperimentSpec, arm: str, seed: int) -> Script:
    """One arm of an experiment at one seed, in plain PyTorch; its losses are those of a run on the CPU, to rounding.

    It needs torch, numpy and what the data come from. Writing it takes milliseconds, and imports no torch.

    Raises:
        SpecError: Something of it cannot be written yet, the message says what to do instead; or its data are not here.
    """
    chosen = strategy(arm)
    if reason := chosen.unfit(spec.data.task):
        raise SpecError(f"{arm} cannot train on {spec.data.name}: {reason}")
    data, network = data_of(spec, seed), written(spec.model, spec.data.task)
    objective, name, source = objective_source(spec, chosen, network)
    settings = settings_source(spec, seed, network, {**data.settings, **network.settings})
    parts = ["layers", "images", "recurrent", "attention"]
    model = [network.initial, network.helpers, network_source(network, apart=objective.apart)]
    training = training_source(spec, name, noisy=objective.noisy, averages=network.averages)
    sections = [
        Section(title="The experiment", sources=[settings]),
        Section(title="Random numbers, by seed, purpose and step", sources=[part("numbers")]),
        Section(title="Data", sources=[*map(part, data.parts), data.source]),
        Section(
            title="Model: a function of weights, examples and masks", sources=[*map(part, parts), *model]
        ),
        Section(
            title="The arm",
            sources=[*_arm(spec, network, objective), source],
        ),
        Section(title="Training", sources=[part("weights"), training]),
    ]
    text = assemble(header(spec, chosen, seed, objective, data), sections, "train")
    return Script(text=text, files=data.files)


def _arm(spec: ExperimentSpec, network: ScriptNetwork, objective: Objective) -> list[str]:
    """What the arm's function may use: the loss and its Hessian, masks, derivatives in mask space."""
    task = spec.data.task
    losses = ["identity"] if objective.identity else []
    losses += ["two_classes"] if task.loss == "cross_entropy" and task.outputs == 2 else []
    parts = [*(f"losses/{name}" for name in (*losses, task.loss))]
    of_texts = ["masks_of_texts", "slopes_of_texts"] if network.text else []
    parts += [*of_texts, "masks", "tangents", "slopes"]
    return [*map(part, parts), network.slopes, part("jacobians")]
