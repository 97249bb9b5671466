"""The house keeps its shape: imports point down, the web process computes nothing, modules stay readable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST_MODULE = 400  # lines; most stay under 300

LOAD_ALL = """
import importlib, pathlib, sys
for name in {names}:
    module = importlib.import_module(name)
    for folder in getattr(module, "__path__", ()):
        for path in sorted(pathlib.Path(folder).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if parts[-1] not in ("__init__", "__main__"):
                importlib.import_module(".".join((name, *parts)))
print(*sorted({{name.partition(".")[0] for name in sys.modules}} & {{"torch", "streamlit"}}))
"""


def loaded_by(*names: str) -> set[str]:
    """Which of torch and streamlit a fresh process holds once it imported these modules and all below them."""
    code = LOAD_ALL.format(names=names)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_import_contracts_of_pyproject_hold() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_web_process_loads_no_torch() -> None:
    names = (
        "web",
        "charts",
        "analysis",
        "store",
        "experiment",
        "export",
        "cli",
        "commands",
        "sweeps",
        "lessons",
    )
    assert loaded_by(*(f"dropviz.{name}" for name in names)) == {"streamlit"}


def test_the_engine_and_the_registries_load_neither_torch_nor_streamlit() -> None:
    names = ("engine", "strategies", "models", "datasets", "statistics")
    assert loaded_by(*(f"dropviz.{name}" for name in names)) == set()


def test_the_server_loads_pandas_before_any_visitors_thread_can() -> None:
    code = "import sys, dropviz.web.server; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "True"


def test_a_training_process_loads_no_streamlit() -> None:
    assert loaded_by("dropviz.training", "dropviz.engine") == {"torch"}


def test_importing_the_package_loads_neither_torch_nor_streamlit() -> None:
    code = "import sys, dropviz; print(*{'torch', 'streamlit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("folder", ["dropviz", "pages", "benchmarks", "tests"])
def test_modules_stay_short_enough_to_read_at_once(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in paths}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_MODULE} == {}
