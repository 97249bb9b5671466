"""A script's printed curve, and the run's own record of the same."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dropviz.experiment import ExperimentSpec
from dropviz.scripts import Script, script_of
from dropviz.training import Block
from dropviz.training.records import Record

PRINTED = 1e-8  # nine digits are printed
ROUNDED = 1e-5  # sums that are taken in another order, after a few steps

Curves = dict[str, list[float]]

TABLE = {
    "data": {"name": "digits", "train_size": 64},
    "model": {"name": "mlp", "widths": [24, 16]},
    "arms": ["none"],
    "seeds": 1,
    "first_seed": 3,
    "train": {"steps": 12, "batch_size": 8, "learning_rate": 0.1},
    "observe": {"evaluations": 3, "statistics": 0, "masks": 2},
}
# Runs files in a process in which nothing of the program can be imported.
ALONE = """
import runpy, sys
sys.modules["dropviz"] = None
for path in sys.argv[1:]:
    runpy.run_path(path, run_name="__main__")
    print("end")
"""


def experiment(*settings: str) -> ExperimentSpec:
    """A few steps on some digits, changed by settings."""
    return ExperimentSpec.from_table(TABLE).with_settings(settings)


def of_script(script: Script, folder: Path) -> Curves:
    """What it prints, run in a namespace of its own."""
    place, said = written(script, folder), io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(script.text, place, "exec"), {"__name__": "__main__", "__file__": str(place)})
    return read(said.getvalue())


def of_process(scripts: Sequence[Script], folder: Path) -> list[Curves]:
    """What each prints, run by a Python that finds no dropviz."""
    paths = []
    for number, script in enumerate(scripts):
        (folder / str(number)).mkdir()
        paths.append(str(written(script, folder / str(number))))
    command = [sys.executable, "-I", "-c", ALONE, *paths]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=150).stdout
    return [read(part) for part in printed.split("end\n")[:-1]]


def written(script: Script, folder: Path) -> Path:
    for name, content in {"train.py": script.text.encode(), **script.files}.items():
        (folder / name).write_bytes(content)
    return folder / "train.py"


def read(printed: str) -> Curves:
    """Metric → its numbers, as the columns and the lines at the end say."""
    head, *lines = printed.splitlines()
    _, *names = head.split()
    found: Curves = {}
    for line in lines:
        first, *cells = line.split()
        columns = names if first.isdigit() else [first]
        for name, cell in zip(columns, cells, strict=True):
            found.setdefault(name, []).extend([] if cell == "-" else [float(cell)])
    return found


def of_run(spec: ExperimentSpec, arm: str, seed: int) -> Curves:
    """What a block of one seed records."""
    block, found = Block(spec, arm, [seed]), Curves()
    while not block.finished:
        for one in block.advance():
            if isinstance(one, Record):
                found.setdefault(one.name, []).append(float(one.values[0]))
    return found


def differences(spec: ExperimentSpec, arm: str, folder: Path, *, seed: int = 3) -> dict[str, float]:
    """Metric → the largest difference of script and run, relative to the number; all that a script prints."""
    script, run = of_script(script_of(spec, arm, seed), folder), of_run(spec, arm, seed)
    return {name: difference(numbers, run[name]) for name, numbers in script.items()}


def difference(numbers: list[float], others: list[float]) -> float:
    assert len(numbers) == len(others)
    return max(abs(one - other) / max(abs(other), 1e-6) for one, other in zip(numbers, others, strict=True))
