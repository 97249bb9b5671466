"""What one click asks for: an ``ExperimentSpec``, validated, canonical and hashed. Nothing here trains."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Sequence
from typing import Any, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from dropviz import datasets, models
from dropviz.choices import Choices, SpecError, shown, unknown_name
from dropviz.datasets import Dataset
from dropviz.experiment.groups import LanguageChoices, ObserveChoices, SurrogateChoices, TrainChoices
from dropviz.models import Model
from dropviz.registry import Registry
from dropviz.strategies import strategy

EVALUATION_STREAMS = 10  # parallel streams that a text is evaluated in; each begins without a past
DEFAULT_ARMS = ("none", "dropout", "dropout-8", "dropout-8+mask-noise", "explicit", "explicit+implicit")


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
    language: LanguageChoices = Field(default_factory=LanguageChoices, title="Text")
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

    @model_validator(mode="after")
    def _model_can_do_the_task(self) -> Self:
        if reason := self.model.unfit(self.data.task):
            raise SpecError(f"{self.model.name} cannot learn {self.data.name}: {reason}")
        return self

    @model_validator(mode="after")
    def _arms_make_sense(self) -> Self:
        for arm in self.arms:
            if reason := strategy(arm).unfit(self.data.task):
                raise SpecError(f"{arm} cannot train on {self.data.name}: {reason}")
        return self

    @model_validator(mode="after")
    def _arms_switch_on_the_way(self) -> Self:
        last = self.train.steps - 1
        for arm in self.arms:
            for switch in strategy(arm).switches:
                if switch > last:
                    rule = (
                        f"switch at a step from 1 to {last:,}, or raise train.steps" if last else "raise it"
                    )
                    raise SpecError(
                        f"{arm} switches at step {switch:,}, which train.steps = {self.train.steps} does not reach: {rule}."
                    )
        return self

    @field_validator("arms", mode="before")
    @classmethod
    def _read_arms(cls, arms: Any) -> tuple[str, ...]:
        if isinstance(arms, str) or not isinstance(arms, Sequence):
            raise SpecError(f'arms = {shown(arms)} is not possible: give a list such as ["none", "dropout"].')
        return tuple(dict.fromkeys(strategy(arm).name for arm in arms))

    def canonical(self) -> str:
        """The one JSON text of this spec: sorted keys, no spaces."""
        return canonical_json(self.to_table())

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

        Values are read as TOML, and as plain text where that fails (``train.optimizer=adam``); where a list stands, commas
        separate (``arms=none,dropout``).

        Raises:
            SpecError: A setting has no ``=``, names no known key, or has a value that cannot be run.
        """
        table = self.to_table()
        for setting in settings:
            key, separator, text = setting.partition("=")
            if not separator or not key.strip():
                raise SpecError(f"{shown(setting)} is not a setting: write key=value, such as p=0.2.")
            _set(table, key.strip(), text)
        return ExperimentSpec.from_table(table)


def _set(table: dict[str, Any], key: str, text: str) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(table.get(parent), dict):
            raise unknown_name(
                "group of settings", parent, (name for name, v in table.items() if isinstance(v, dict))
            )
        table = table[parent]
    value = read_setting(text, of_a_list=isinstance(table.get(last), list))
    if last == "name" and table.get("name") != value:
        table.clear()  # another data set or model: the knobs of the former one mean nothing to it
        table.update(_usual_knobs(parents, value))
    if isinstance(table.get(last), dict) and "name" in table[last] and not isinstance(value, dict):
        value = {"name": value}
    table[last] = value


def _usual_knobs(parents: Sequence[str], name: Any) -> dict[str, Any]:
    """The knobs of another data set or model as they usually stand; none of what there is not, which is said later."""
    registries: dict[str, Registry[Any]] = {"data": datasets.registry, "model": models.registry}
    registry = registries.get(".".join(parents))
    known = registry is not None and isinstance(name, str) and name in registry.members
    return registry.members[name].from_table({}).to_table() if registry and known else {}


def read_setting(text: str, *, of_a_list: bool) -> Any:
    """The value that a setting's text means; one that is no list, of a list, is that list's entries between commas."""
    value = _toml_value(text.strip())
    if not of_a_list or isinstance(value, list):
        return value
    return [_toml_value(part.strip()) for part in text.split(",") if part.strip()]


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def canonical_json(table: dict[str, Any]) -> str:
    """The one JSON text of a table: sorted keys, no spaces."""
    return json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
