"""Real engines in real processes, each with a data directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Job, Store

PATIENCE = 60.0


def wait_until(condition: Callable[[], object], what: str = "", seconds: float = PATIENCE) -> None:
    """Wait for a condition; fail if it does not come true in a time that is far longer than it needs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what or condition}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def family_of(pid: int) -> set[int]:
    """A process and all that descend from it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    family = {pid}
    while found := {child for child, parent in parents.items() if parent in family} - family:
        family |= found
    return family


@dataclass(frozen=True, kw_only=True)
class House:
    """A data directory with its store, and the environment for processes that use it."""

    folder: Path
    store: Store
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a Python process here."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=self.environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def job(self, view_id: str) -> Job:
        """The first job of an experiment."""
        return self.store.experiment(view_id).jobs[0]

    def running_pid(self, view_id: str, step: int = 1) -> int:
        """The process of an experiment's first job, once it is past a step."""
        found: list[Job] = []

        def runs() -> bool:
            found[:] = [self.job(view_id)]
            return found[0].state == "running" and found[0].step >= step and found[0].pid is not None

        wait_until(runs, "running")
        pid = found[0].pid
        assert pid is not None
        return pid

    def finish(self, view_id: str) -> str:
        """Wait for the end; the state reached."""
        wait_until(
            lambda: self.store.experiment(view_id).state in ("done", "failed", "stopped"),
            "the end",
            3 * PATIENCE,
        )
        return self.store.experiment(view_id).state

    def series(self, view_id: str) -> list[tuple[int, int, str, bytes]]:
        """All points of an experiment's first job, to the last bit."""
        points = self.store.points(self.job(view_id).id)
        return [(point.seq, point.step, point.name, point.values.tobytes()) for point in points]

    def weights(self, view_id: str) -> list[tuple[str, bytes]]:
        """The files of the weights that an experiment's first job kept."""
        folder = self.store.weights.folder / str(self.job(view_id).id)
        return [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]


def open_house(folder: Path, url: str = "") -> House:
    """A house with a SQLite file in it, or on a store elsewhere."""
    environment = os.environ | {"DROPVIZ_DATA": str(folder), "DROPVIZ_DEVICE": "cpu", "DROPVIZ_SLOTS": "1"}
    for name in ("DROPVIZ_STORE", "DROPVIZ_SUPERVISED", "DROPVIZ_ENGINE"):
        environment.pop(name, None)
    environment |= {"DROPVIZ_STORE": url} if url else {}
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [environment.get("PYTHONPATH")])])
    return House(folder=folder, store=Store.open(url or folder / "dropviz.db"), environment=environment)


@pytest.fixture(autouse=True)
def _same_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_DEVICE", "cpu")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house without an engine."""
    opened = open_house(tmp_path / "data")
    yield opened
    opened.store.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with an engine that all tests of a module share."""
    opened = open_house(tmp_path_factory.mktemp("served"))
    engine = opened.start("-m", "dropviz.engine")
    yield opened
    engine.terminate()
    engine.communicate(timeout=20)
    opened.store.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, postgres_server) -> Iterator[House]:
    """A house on PostgreSQL, without an engine."""
    folder = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DROPVIZ_DATA", str(folder))
        opened = open_house(folder, postgres_server.create())
        yield opened
        opened.store.close()


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Wait for a condition."""
    return wait_until


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """Whether a process runs."""
    return is_alive


@pytest.fixture
def family() -> Callable[[int], set[int]]:
    """A process and all that descend from it."""
    return family_of


@pytest.fixture
def tiny() -> ExperimentSpec:
    """Done in a fraction of a second."""
    changes = ['arms=["dropout"]', "seeds=2", "train.steps=40", "model.widths=[8]", "observe.evaluations=4"]
    return preset("noisy-digits").with_settings([*changes, "observe.statistics=2"])


@pytest.fixture
def endless(tiny: ExperimentSpec) -> ExperimentSpec:
    """Runs until it is stopped."""
    return tiny.with_settings(["train.steps=900000", "observe.evaluations=1000", "observe.statistics=0"])


@pytest.fixture
def long(tiny: ExperimentSpec) -> ExperimentSpec:
    """Runs long enough to be checkpointed once or twice."""
    return tiny.with_settings(["train.steps=20000", "observe.evaluations=200", "observe.statistics=3"])
