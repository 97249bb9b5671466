"""The settings at the head of a script: this experiment's choices, of which a script shows those that it reads."""

from __future__ import annotations

from collections.abc import Mapping

from dropviz.experiment import ExperimentSpec, evaluation_interval, surrogate_choices
from dropviz.scripts.network import ScriptNetwork
from dropviz.scripts.training import held_at_once

LEVELS = 2**16  # as ``masks`` has it: 16 bits decide about a unit


def settings_source(
    spec: ExperimentSpec,
    seed: int,
    network: ScriptNetwork,
    of_data: Mapping[str, tuple[str, str]],
) -> str:
    """All that a script could read, as assignments."""
    found = {"SEED": (repr(seed), "of the split, the weights, the minibatches and the masks")}
    found |= {**of_data, **_of_training(spec), **_of_arm(spec)}
    lines = [f"{name} = {value}{comment and f'  # {comment}'}" for name, (value, comment) in found.items()]
    return "\n".join([*lines, _sites(spec, network), _shapes(network)])


def _of_training(spec: ExperimentSpec) -> dict[str, tuple[str, str]]:
    train = spec.train
    return {
        "STEPS": (repr(train.steps), "updates of the weights"),
        "BATCH": (
            repr(train.batch_size),
            f"{'streams' if spec.data.task.kind == 'language' else 'examples'} a step",
        ),
        "LEARNING_RATE": (repr(train.learning_rate), ""),
        "WARMUP": (repr(train.warmup), "steps over which the learning rate rises"),
        "MOMENTUM": (repr(train.momentum), ""),
        "WEIGHT_DECAY": (repr(train.weight_decay), ""),
        "CLIP": (repr(train.clip), "the largest norm of a gradient"),
        "PATIENCE": (repr(train.patience), "evaluations without a lower validation loss before it stops"),
        "EVERY": (repr(evaluation_interval(spec)), "steps between two points of the curve"),
        "HELD": (repr(held_at_once(spec)), "examples that are evaluated at once"),
    }


def _of_arm(spec: ExperimentSpec) -> dict[str, tuple[str, str]]:
    choices = surrogate_choices(spec)
    return {
        "P": probability(spec.p),
        "LAMBDA": (repr(choices.explicit), "λ, strength of the explicit regularizer R; 1 is the theory"),
        "MU": (repr(choices.implicit), "μ, strength of the implicit noise ξ; 1 is the theory"),
        "SAMPLES": (repr(choices.samples), "of the estimator, a step"),
        "STREAMS": ('["train", *(f"train/sample-{i}" for i in range(1, SAMPLES))]', "one a sample"),
        "L2": (repr(choices.l2), "s"),
    }


def probability(p: float) -> tuple[str, str]:
    """A drop probability as code, and what it is."""
    if round(p * LEVELS) == LEVELS:
        return f"{LEVELS - 1} / 2**16", f"drop probability {p:g}, as near to it as 16 bits come"
    return f"round({p!r} * 2**16) / 2**16", "drop probability, as a 16-bit number decides"


def _sites(spec: ExperimentSpec, network: ScriptNetwork) -> str:
    """The table of the dropout sites, and the masks that do nothing."""
    rates = spec.model.rates(spec.p)
    lines = ["SITES = {  # where units are dropped: the shape of a mask, and its drop probability"]
    for site, shape in network.sites.items():
        p = "P" if rates[site] == spec.p else probability(rates[site])[0]
        lines.append(f'    "{site}": ({shape}, {p}),')
    return "\n".join([*lines, "}", "PLAIN = dict.fromkeys(SITES, 1.0)  # nothing is dropped: ε = 0"])


def _shapes(network: ScriptNetwork) -> str:
    entries = [f'    "{name}": {shape!r},' for name, shape in network.shapes.items()]
    return "\n".join(["SHAPES = {  # of the weights", *entries, "}"])
