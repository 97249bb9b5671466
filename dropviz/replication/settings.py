"""The experiments that claims are tested on: ``settings/<scale>-<name>.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field

from dropviz.choices import Choices
from dropviz.experiment import ExperimentSpec

Scale = Literal["small", "medium", "full"]
SCALES: tuple[Scale, ...] = get_args(Scale)
FOLDER = Path(__file__).with_name("settings")


class Setting(Choices):
    """A data set, a model and a training loop, without arms: these are what the claims ask for.

    Attributes:
        name: The file's, without the scale.
        title: As people read it.
        scale: small takes minutes to an hour on two cores, medium a night, full is the paper's own.
        main: Whether rows are tested on it that name no setting.
        k: The numbers of masks above 1 that dropout-k is run with.
        table: An ``ExperimentSpec`` but for its arms.
    """

    name: str
    title: str
    scale: Scale
    main: bool = True
    k: tuple[int, ...] = Field(min_length=1)
    table: dict[str, Any] = Field(alias="spec")

    @property
    def largest_k(self) -> int:
        """What K stands for in a claim."""
        return max(self.k)

    def spec(self, arms: Iterable[str]) -> ExperimentSpec:
        """The experiment with these arms.

        Raises:
            SpecError: It cannot be run.
        """
        found: ExperimentSpec = ExperimentSpec.from_table(self.table | {"arms": list(arms)})
        return found


@cache
def settings_of(scale: Scale) -> dict[str, Setting]:
    """The settings of a scale by name, in alphabetical order.

    Raises:
        SpecError: A file is not as it should be.
    """
    found = {}
    for path in sorted(FOLDER.glob(f"{scale}-*.toml")):
        name = path.stem.removeprefix(f"{scale}-")
        found[name] = Setting.from_table(tomllib.loads(path.read_text("utf-8")) | {"name": name})
    return found
