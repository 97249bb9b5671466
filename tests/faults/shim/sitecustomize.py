"""In processes that have this folder on their path the clock is as far off, and each training step takes as long, as files say.

$FAULTS_CLOCK holds seconds to add to the true time. $FAULTS_STEP holds seconds that each step waits besides, so that a run lasts
long enough to be disturbed and costs little; or ``hang`` or ``hang alone``, and the next step never ends.
"""

import os
import re
import sys
import time
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

SLOWED = "dropviz.training.block"

_true, _path, _step = time.time, os.environ.get("FAULTS_CLOCK", ""), os.environ.get("FAULTS_STEP", "")


def shifted() -> float:
    """``time.time`` of a machine whose clock has jumped."""
    try:
        return _true() + float(_read(_path) or 0)
    except (OSError, ValueError):
        return _true()


def linger() -> None:
    """Wait as long as a step is to wait."""
    told = _read(_step)
    if told == "hang alone":  # no other thread gets its turn
        re.match("(a+)+$", "a" * 60 + "b")
    while told == "hang":
        pass
    time.sleep(float(told))


def _read(path: str) -> str:
    with open(path) as file:
        return file.read().strip()


class Slowed:
    """Finds the training loop, and has each of its steps linger."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The module as it is, changed when it has been loaded."""
        spec = PathFinder.find_spec(name, path) if name == SLOWED else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_slow(module: ModuleType) -> None:
            load(module)
            update = module.Block.update

            def slowly(self: object) -> object:
                linger()
                return update(self)

            module.Block.update = slowly

        spec.loader.exec_module = load_and_slow
        return spec


if _path:
    time.time = shifted
if _step:
    sys.meta_path.insert(0, Slowed())
