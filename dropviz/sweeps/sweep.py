"""What a sweep is: an experiment, and one or two knobs with their values. Its cells are ordinary experiments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

from pydantic import Field, model_validator

from dropviz.budget import Budget, check_budget, check_data, seed_steps
from dropviz.choices import Choices, SpecError, shown
from dropviz.experiment import ExperimentSpec, canonical_json
from dropviz.sweeps.knobs import Value, knobs, read, shown_value, with_value


class Axis(Choices):
    """A knob and the values that it takes."""

    key: str
    values: tuple[Value, ...] = Field(min_length=1, max_length=1000)


class Sweep(Choices):
    """An experiment over the values of one or two knobs.

    Attributes:
        base: All that is the same in every cell, its arms and seeds among it.
        axes: What is varied: the first from left to right, the second from bottom to top.
        question: What it was started to answer, if that was said.
    """

    base: ExperimentSpec
    axes: tuple[Axis, ...] = Field(min_length=1, max_length=2)
    question: str = Field("", max_length=200)

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, table: Any) -> Any:
        """Values as the cells have them: 0.5 for "0.5" and .50, each once."""
        if not isinstance(table, dict) or not {"base", "axes"} <= table.keys():
            return table
        _check_size(table["axes"])
        base = (
            table["base"]
            if isinstance(table["base"], ExperimentSpec)
            else ExperimentSpec.from_table(table["base"])
        )
        axes = [axis if isinstance(axis, Axis) else Axis.from_table(axis) for axis in table["axes"]]
        return table | {"base": base, "axes": [_read(base, axis) for axis in axes]}

    @model_validator(mode="after")
    def _cells_differ(self) -> Sweep:
        keys = [axis.key for axis in self.axes]
        if len(set(keys)) < len(keys):
            raise SpecError(f"{keys[0]} is varied twice: choose another knob, or leave the second one out.")
        cells = self.cells()
        if len(set(cells)) < len(cells):
            raise SpecError(f"{' and '.join(keys)} set the same thing: vary only one of them.")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each knob takes."""
        return tuple(len(axis.values) for axis in self.axes)

    def places(self) -> list[tuple[Value, ...]]:
        """The values of each cell, the last knob's changing fastest."""
        return list(product(*(axis.values for axis in self.axes)))

    def cells(self) -> tuple[ExperimentSpec, ...]:
        """The experiment of each place, in the same order."""
        return _cells(self.canonical())

    def titles(self) -> list[str]:
        """The knobs in words."""
        known = knobs(self.base)
        return [known[axis.key].title if axis.key in known else axis.key for axis in self.axes]

    def place_title(self, place: tuple[Value, ...]) -> str:
        """A cell in words, such as ``p = 0.1, width = 32``."""
        return _where(self.axes, place)

    def title(self) -> str:
        """A short name for lists."""
        if self.question:
            return self.question
        varied = " × ".join(axis.key for axis in self.axes)
        return f"{varied} · {self.base.data.name} · {self.base.model.name}"

    def fixed(self) -> str:
        """What is the same in every cell, in a few words."""
        base, varied = self.base, {axis.key for axis in self.axes}
        parts = [base.data.name, base.model.name]
        parts += [] if "p" in varied else [f"p = {base.p:g}"]
        parts += [] if "train.steps" in varied else [f"{base.train.steps:,} steps"]
        parts += [", ".join(base.arms), "1 seed: an anecdote" if base.seeds == 1 else f"{base.seeds} seeds"]
        return " · ".join(parts)

    def canonical(self) -> str:
        """The one JSON text of this sweep."""
        return canonical_json(self.to_table())

    @classmethod
    def from_text(cls, text: str) -> Sweep:
        """The inverse of ``canonical``.

        Raises:
            SpecError: It holds no sweep that this version of the program can run.
        """
        found: Sweep = cls.from_table(json.loads(text))
        return found


def _check_size(axes: Any) -> None:
    """Refuse what has more cells than a sweep may have, before any is made."""
    if not isinstance(axes, list | tuple):
        raise SpecError(
            f"axes = {shown(axes)} is not possible: give a list of one or two knobs with their values."
        )
    lengths = []
    for axis in axes:
        values = (
            axis.values if isinstance(axis, Axis) else axis.get("values") if isinstance(axis, dict) else None
        )
        if not isinstance(values, list | tuple):
            raise SpecError(f"{shown(axis)} is no knob to vary: give its key and a list of values.")
        lengths.append(len(values))
    check_cells(prod(lengths), Budget.from_environment())


def check_cells(count: int, budget: Budget) -> None:
    """Refuse more cells than this installation allows.

    Raises:
        SpecError: Names both.
    """
    if count > budget.cells:
        raise SpecError(
            f"This sweep has {count:,} cells, over this server's budget of {budget.cells:,}: take fewer values."
        )


def _read(base: ExperimentSpec, axis: Axis) -> Axis:
    """The axis with its values as specs have them; each is tried alone first, so that an error names it."""
    values: dict[str, Value] = {}
    listed = isinstance(read(base, axis.key), list)
    for value in axis.values:
        asked = [value] if listed and not isinstance(value, list) else value
        with_it = with_value(base, axis.key, asked)  # type: ignore[arg-type]
        found = int(value) if axis.key == "k" else read(with_it, axis.key)  # type: ignore[arg-type]
        values.setdefault(canonical_json(found), found)  # type: ignore[arg-type]
    return Axis(key=axis.key, values=tuple(values.values()))


@lru_cache(maxsize=16)
def _cells(text: str) -> tuple[ExperimentSpec, ...]:
    table = json.loads(text)
    base = ExperimentSpec.from_table(table["base"])
    axes = [Axis.from_table(axis) for axis in table["axes"]]
    return tuple(_placed(base, axes, place) for place in product(*(axis.values for axis in axes)))


def _placed(base: ExperimentSpec, axes: Sequence[Axis], place: tuple[Value, ...]) -> ExperimentSpec:
    """One cell; a name comes first, as another data set or model has knobs of its own, which the other axis may vary."""
    spec = base
    for axis, value in sorted(
        zip(axes, place, strict=True), key=lambda pair: not pair[0].key.endswith("name")
    ):
        try:
            spec = with_value(spec, axis.key, value)
        except SpecError as error:
            raise SpecError(f"The cell at {_where(axes, place)} cannot be run. {error}") from None
    return spec


def _where(axes: Sequence[Axis], place: Iterable[Value]) -> str:
    return ", ".join(f"{axis.key} = {shown_value(value)}" for axis, value in zip(axes, place, strict=True))


def check_sweep(sweep: Sweep, budget: Budget | None = None) -> None:
    """Refuse a sweep that asks for more than this installation allows, or whose data are not here.

    Raises:
        SpecError: Names the amount, the limit and what to lower; of a cell, which one.
    """
    budget = budget or Budget.from_environment()
    cells = sweep.cells()
    check_cells(len(cells), budget)
    for place, cell in zip(sweep.places(), cells, strict=True):
        try:
            check_data(cell)
            check_budget(cell, budget)
        except SpecError as error:
            raise SpecError(f"The cell at {sweep.place_title(place)} cannot be run. {error}") from None
    total = sum(map(seed_steps, cells))
    if total > budget.sweep_seed_steps:
        raise SpecError(
            f"This sweep asks for {total:,} steps × seeds × masks over all cells, over this server's budget of"
            f" {budget.sweep_seed_steps:,}: take fewer values, arms, seeds or steps."
        )
