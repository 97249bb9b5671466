"""What decides a result's numbers: the estimator that ``auto`` means, the code, and the key of both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dropviz import settings
from dropviz.experiment.groups import SurrogateChoices
from dropviz.experiment.spec import ExperimentSpec, canonical_json
from dropviz.extensions import digests
from dropviz.statistics import sources
from dropviz.strategies import strategy

MOST_CLASSES = 10  # with more, one random draw costs less than a direction a class
AFFORDABLE = 30_000_000  # multiplications of one exact step and seed: about as many as a few milliseconds have room for


def surrogate_choices(spec: ExperimentSpec) -> SurrogateChoices:
    """The choices with ``auto`` decided: exact up to ten classes where a step stays affordable.

    Its cost goes with the rows of a minibatch, the directions in the space of the logits and the multiplications. Otherwise
    ``auto`` is left to the estimators, as the last site in closed form and root-Hessian at the others.
    """
    chosen, task = spec.surrogate, spec.data.task
    cost = spec.train.batch_size * (task.outputs - 1) * spec.model.multiplications(task)
    few = (
        task.outputs <= MOST_CLASSES and task.kind != "language"
    )  # whose tokens share masks, so each takes passes of its own
    affordable = few and cost <= AFFORDABLE
    if chosen.estimator == "exact" or (chosen.estimator == "auto" and affordable):
        return chosen.model_copy(update={"estimator": "exact", "samples": 1})  # there is nothing to average
    return chosen


def result_keys(spec: ExperimentSpec, arm: str, seeds: Iterable[int], device_class: str) -> dict[int, str]:
    """Seed → the content address of one arm's result: equal keys have equal results.

    It covers what this arm's numbers depend on (so not the other arms, and of the surrogate's choices those that have a
    say in it), the code that computes them, torch's version and the class of device.
    """
    chosen = strategy(arm)
    table = spec.to_table()
    groups = ["data", "model", "p", "train", "observe"]
    groups += ["language"] if spec.data.task.kind == "language" else []
    parts = {key: table[key] for key in groups} | {"source": spec.data.source()}
    choices = surrogate_choices(spec).to_table()
    parts["surrogate"] = {choice: choices[choice] for choice in chosen.choices}
    parts |= {"arm": chosen.name, "device": device_class}
    parts |= {"code": code_version(), "torch": settings.version_of("torch")}
    if outside := extension_digests(spec, arm):
        parts["extensions"] = outside
    return {
        seed: hashlib.sha256(canonical_json(parts | {"seed": seed}).encode()).hexdigest() for seed in seeds
    }


def result_key(spec: ExperimentSpec, arm: str, seed: int, device_class: str) -> str:
    """The content address of one arm at one seed."""
    return result_keys(spec, arm, [seed], device_class)[seed]


def extension_digests(spec: ExperimentSpec, arm: str) -> list[str]:
    """Of the extensions that decide the numbers of an arm: its data set, model and strategies, and every statistic."""
    kinds = [
        type(spec.data),
        type(spec.model),
        *(type(part) for part, _ in strategy(arm).stretches(spec.train.steps)),
    ]
    return digests([cls.__module__ for kind in kinds for cls in kind.__mro__] + list(sources()))


COMPUTING = (
    "masks",
    "kernels",
    "experiment",
    "streams",
    "philox",
    "losses",
    "optimizers",
    "training",
    "regularizers",
    "strategies",
    "models",
    "datasets",
    "text",
    "task",
)


@cache
def code_version() -> str:
    """A hash over the source files that decide a result's numbers."""
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent
    folders = [root / name for name in (*COMPUTING, "curvature", "statistics")]
    files = [path.with_suffix(".py") for path in folders if not path.is_dir()]
    files += [file for path in folders if path.is_dir() for file in path.rglob("*.py")]
    for file in sorted(files):
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
