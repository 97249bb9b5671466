"""What one click asks for: an ``ExperimentSpec``, validated, canonical and hashed. Nothing here trains."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from dropviz import datasets, models
from dropviz.choices import Choices, SpecError, shown, unknown_name
from dropviz.datasets import Dataset
from dropviz.models import Model
from dropviz.strategies import strategy

DEFAULT_ARMS = ("none", "dropout", "dropout-8", "dropout-8+mask-noise", "explicit", "explicit+implicit")


class SurrogateChoices(Choices):
    """How the analytic arms (explicit, implicit, both, ablations) compute their terms."""

    estimator: Literal["auto", "exact", "root-hessian", "forward", "sampled-label"] = Field(
        "auto",
        title="Estimator of R",
        description="Exact: every class, no noise. Root-Hessian: one random ±1 a class. Forward: one random direction in"
        " mask space. Sampled label: the authors'. Auto: exact up to ten classes where a step stays affordable, else the"
        " last layer exact and root-Hessian for the others.",
    )
    hessian: Literal["differentiated", "constant"] = Field(
        "differentiated",
        title="Output Hessian",
        description="Whether the gradient of R goes through the output Hessian. Constant is the paper's code.",
    )
    explicit: float = Field(
        1.0,
        ge=0,
        le=100,
        title="λ, strength of the explicit term",
        description="1 is the theory; the authors' scripts correspond to about 2.",
    )
    implicit: float = Field(
        1.0, ge=0, le=100, title="μ, strength of the implicit noise", description="1 is the theory."
    )
    samples: int = Field(
        1,
        ge=1,
        le=64,
        title="Samples",
        description="Draws of the estimator that are averaged; exact needs none.",
    )
    shared_tangent: bool = Field(
        False,
        title="Shared tangent",
        description="For explicit+implicit: both terms from one random direction. Cheaper, with a noisier explicit gradient.",
    )
    l2: float = Field(
        0.01,
        ge=0,
        le=100,
        title="Strength of the l2 arm",
        description="Half of it times the sum of squares of all parameters is added to the loss of that arm.",
    )


class TrainChoices(Choices):
    """The training loop: how long, how large a minibatch, which optimizer."""

    steps: int = Field(1500, ge=1, le=1_000_000, title="Steps", description="Updates of the weights.")
    batch_size: int = Field(
        16, ge=1, le=4096, title="Minibatch", description="Examples a step, drawn with replacement."
    )
    optimizer: Literal["sgd", "adam", "adamw"] = Field(
        "sgd", title="Optimizer", description="AdamW is Adam with weight decay outside of its averages."
    )
    learning_rate: float = Field(
        0.1, gt=0, le=1e12, title="Learning rate", description="Size of an update; with a schedule, its peak."
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant",
        title="Schedule of the learning rate",
        description="Linear and cosine fall to 0 at the end of the last step.",
    )
    warmup: int = Field(
        0,
        ge=0,
        le=1_000_000,
        title="Warm-up",
        description="First steps, over which the learning rate rises in a line from 0 to its peak; 0 for none.",
    )
    momentum: float = Field(
        0.0, ge=0, lt=1, title="Momentum", description="Of SGD alone: with Adam or AdamW, 0."
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        le=10,
        title="Weight decay",
        description="Strength of the ℓ2 term; AdamW takes learning rate × this share off the weights, a step.",
    )
    clip: float = Field(
        0.0,
        ge=0,
        le=1e12,
        title="Gradient clipping",
        description="Largest ℓ2 norm of a step's gradient, over all weights of a network; 0 turns it off.",
    )
    clip_noise: bool = Field(
        True,
        title="Clip the noise",
        description="On: clipping acts on the sum with the implicit noise, as in the paper's code. Off (where clipping"
        " is above 0): that noise is added afterwards, in full. Noise of the loss's own masks is clipped either way.",
    )

    @model_validator(mode="after")
    def _momentum_is_used(self) -> Self:
        if self.optimizer != "sgd" and self.momentum:
            raise SpecError(
                f"momentum = {self.momentum} has no effect on {self.optimizer}: set it to 0, or choose sgd."
            )
        return self

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup >= self.steps:
            raise SpecError(f"warmup = {self.warmup} is not possible: it must be below steps = {self.steps}.")
        return self

    @model_validator(mode="after")
    def _clipping_is_used(self) -> Self:
        if not (self.clip or self.clip_noise):
            raise SpecError(
                "clip_noise = False has no effect without clipping: set it to true, or raise clip above 0."
            )
        return self


class ObserveChoices(Choices):
    """What is observed while training, and how often; observing never changes training."""

    evaluations: int = Field(
        50, ge=1, le=1000, title="Evaluations", description="Points of each loss and accuracy curve."
    )
    statistics: int = Field(
        10,
        ge=0,
        le=1000,
        title="Statistics",
        description="Points of each regularizer, noise and curvature curve; 0 turns them off.",
    )
    probe: int = Field(
        128,
        ge=2,
        le=4096,
        title="Probe",
        description="Training examples on which R, noise and curvature are measured.",
    )
    masks: int = Field(
        16, ge=2, le=1024, title="Masks", description="Mask draws for the regularizer by definition."
    )


class ExperimentSpec(Choices):
    """Arms × seeds on one data set with one model: everything that decides the numbers, and nothing else."""

    data: SerializeAsAny[Dataset] = Field(title="Data set")
    model: SerializeAsAny[Model] = Field(title="Model")
    p: float = Field(
        0.5,
        ge=0,
        lt=1,
        title="Drop probability p",
        description="Chance that a unit is dropped (the paper calls it q).",
    )
    arms: tuple[str, ...] = Field(DEFAULT_ARMS, min_length=1, max_length=16, title="Arms")
    seeds: int = Field(
        8,
        ge=1,
        le=1024,
        title="Seeds",
        description="Each seed draws its own split, label noise and weights, shared by all arms.",
    )
    first_seed: int = Field(
        0, ge=0, le=2**31, title="First seed", description="The seeds count up from here."
    )
    surrogate: SurrogateChoices = Field(default_factory=SurrogateChoices, title="Surrogate")
    train: TrainChoices = Field(default_factory=TrainChoices, title="Training")
    observe: ObserveChoices = Field(default_factory=ObserveChoices, title="Observation")

    @field_validator("data", mode="before")
    @classmethod
    def _read_data(cls, table: Any) -> Dataset:
        return datasets.registry.read(table)

    @field_validator("model", mode="before")
    @classmethod
    def _read_model(cls, table: Any) -> Model:
        return models.registry.read(table)

    @field_validator("p")
    @classmethod
    def _one_zero(cls, p: float) -> float:
        return p + 0.0  # of −0.0 and 0.0, which are the same probability, there shall be one

    @field_validator("arms", mode="before")
    @classmethod
    def _read_arms(cls, arms: Any) -> tuple[str, ...]:
        if isinstance(arms, str) or not isinstance(arms, Sequence):
            raise SpecError(f'arms = {shown(arms)} is not possible: give a list such as ["none", "dropout"].')
        return tuple(dict.fromkeys(strategy(arm).name for arm in arms))

    def canonical(self) -> str:
        """The one JSON text of this spec: sorted keys, no spaces."""
        return _canonical(self.to_table())

    def digest(self) -> str:
        """SHA-256 of the canonical text, in hex."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def seed_list(self) -> range:
        """The seeds, counting up from the first."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def title(self) -> str:
        """A short name for lists: data · model · drop probability."""
        return f"{self.data.name} · {self.model.name} · p = {self.p:g} · {self.train.steps:,} steps"

    def with_settings(self, settings: Iterable[str]) -> ExperimentSpec:
        """The spec with ``key=value`` settings applied, such as ``p=0.2`` or ``train.steps=500``.

        Values are read as TOML, and as plain text where that fails (``train.optimizer=adam``).

        Raises:
            SpecError: A setting has no ``=``, names no known key, or has a value that cannot be run.
        """
        table = self.to_table()
        for setting in settings:
            key, separator, text = setting.partition("=")
            if not separator or not key.strip():
                raise SpecError(f"{shown(setting)} is not a setting: write key=value, such as p=0.2.")
            _set(table, key.strip(), _toml_value(text.strip()))
        return ExperimentSpec.from_table(table)


def _set(table: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(table.get(parent), dict):
            raise unknown_name(
                "group of settings", parent, (name for name, v in table.items() if isinstance(v, dict))
            )
        table = table[parent]
    if last == "name" and table.get("name") != value:
        table.clear()  # another data set or model: the knobs of the former one mean nothing to it
    if isinstance(table.get(last), dict) and "name" in table[last] and not isinstance(value, dict):
        value = {"name": value}
    table[last] = value


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def load_spec(path: Path | str) -> ExperimentSpec:
    """Read a spec from a TOML file, or from a run's own ``spec.json``.

    Raises:
        SpecError: The file cannot be read, is not TOML or JSON, or holds a spec that cannot be run.
    """
    kind = "JSON" if Path(path).suffix == ".json" else "TOML"
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{str(path)!r} cannot be read ({error}): give the path of a TOML file.") from None
    try:
        table = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{str(path)!r} is not valid {kind}: {error}; mend that line.") from None
    if not isinstance(table, dict):
        raise SpecError(f"{str(path)!r} holds {shown(table)}: a spec is a table of settings.")
    return ExperimentSpec.from_table(table)


def preset_names() -> list[str]:
    """Names of the presets, the default one first."""
    folder = resources.files("dropviz") / "presets"
    names = sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )
    return sorted(names, key=lambda name: name != "noisy-digits")


def preset(name: str) -> ExperimentSpec:
    """A preset by name.

    Raises:
        SpecError: There is no such preset.
    """
    if name not in preset_names():
        raise unknown_name("preset", name, preset_names())
    return load_spec(Path(str(resources.files("dropviz") / "presets" / f"{name}.toml")))


def evaluation_steps(spec: ExperimentSpec) -> list[int]:
    """The steps at which curves get a point, from 0 to the last one, evenly spaced."""
    interval = evaluation_interval(spec)
    return [*range(0, spec.train.steps, interval), spec.train.steps]


def evaluation_interval(spec: ExperimentSpec) -> int:
    """Steps between two points of a curve: what one press of Step advances."""
    return -(-spec.train.steps // spec.observe.evaluations)


MOST_CLASSES = 10  # with more, one random draw costs less than a direction a class
AFFORDABLE = 30_000_000  # multiplications of one exact step and seed: about as many as a few milliseconds have room for


def surrogate_choices(spec: ExperimentSpec) -> SurrogateChoices:
    """The choices with ``auto`` decided: exact up to ten classes where a step stays affordable.

    Its cost goes with the rows of a minibatch, the directions in the space of the logits and the parameters. Otherwise
    ``auto`` is left to the estimators, as the last site in closed form and root-Hessian at the others.
    """
    chosen, classes = spec.surrogate, spec.data.classes
    parameters = spec.model.parameter_count(spec.data.features, classes)
    cost = spec.train.batch_size * (classes - 1) * parameters
    affordable = classes <= MOST_CLASSES and cost <= AFFORDABLE
    if chosen.estimator == "exact" or (chosen.estimator == "auto" and affordable):
        return chosen.model_copy(update={"estimator": "exact", "samples": 1})  # there is nothing to average
    return chosen


def result_key(spec: ExperimentSpec, arm: str, seed: int, device_class: str) -> str:
    """The content address of one arm at one seed: equal keys have equal results.

    It covers what this arm's numbers depend on (so not the other arms, and of the surrogate's choices those that have a
    say in it), the code that computes them, torch's version and the class of device.
    """
    chosen = strategy(arm)
    table = spec.to_table()
    parts = {key: table[key] for key in ("data", "model", "p", "train", "observe")}
    choices = surrogate_choices(spec).to_table()
    parts["surrogate"] = {choice: choices[choice] for choice in chosen.choices}
    parts |= {"arm": chosen.name, "seed": seed, "device": device_class}
    parts |= {"code": code_version(), "torch": metadata.version("torch")}
    return hashlib.sha256(_canonical(parts).encode()).hexdigest()


COMPUTING = (
    "masks",
    "experiment",
    "streams",
    "losses",
    "optimizers",
    "training",
    "regularizers",
    "strategies",
    "models",
    "datasets",
)


@cache
def code_version() -> str:
    """A hash over the source files that decide a result's numbers."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    folders = [root / name for name in (*COMPUTING, "curvature", "statistics")]
    files = [path.with_suffix(".py") for path in folders if not path.is_dir()]
    files += [file for path in folders if path.is_dir() for file in path.glob("*.py")]
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _canonical(table: dict[str, Any]) -> str:
    return json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
