"""Models as code: one file each, found by the model's name, with a function ``write(model, task)``."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from dropviz.choices import SpecError
from dropviz.models import Model
from dropviz.scripts.network import ScriptNetwork
from dropviz.task import Task


def written(model: Model, task: Task) -> ScriptNetwork:
    """A model as code.

    Raises:
        SpecError: There is no script for such a model yet.
    """
    known = {info.name.replace("_", "-"): info.name for info in iter_modules(__path__)}
    if model.name not in known:
        raise SpecError(
            f"A script of model.name = {model.name!r} cannot be written yet: choose one of {', '.join(sorted(known))}, or"
            " keep the run by `dropviz run`."
        )
    network: ScriptNetwork = import_module(f"{__name__}.{known[model.name]}").write(model, task)
    return network
