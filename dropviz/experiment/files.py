"""Specs from files: a person's own, a run's, and the presets that come with the program."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path

from dropviz.choices import SpecError, shown, unknown_name
from dropviz.experiment.spec import ExperimentSpec


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
