"""Real engines in real processes, each with a data directory of its own: what tests of the engine and of faults share."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dropviz.engine.lifeline import death_signal
from dropviz.store import Job, Store

PATIENCE = 60.0


def wait_until(condition: Callable[[], object], what: str = "", seconds: float = PATIENCE) -> None:
    """Wait for a condition; fail if it does not come true in a time that is far longer than it needs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what or condition}"
        time.sleep(0.01)


def free_port(host: str = "127.0.0.1") -> int:
    """A port of this computer that nobody listens to."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def command_of(pid: int) -> str:
    """A process's command line; empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


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
            preexec_fn=death_signal(),  # a test run that is killed leaves nothing behind
        )

    @contextmanager
    def engine(self) -> Iterator[None]:
        """An engine, for the length of a block."""
        process = self.start("-m", "dropviz.engine")
        try:
            yield
        finally:
            process.terminate()
            process.communicate(timeout=30)

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
    """A house with a SQLite file in it, or on a store elsewhere; close its store at the end."""
    environment = os.environ | {"DROPVIZ_DATA": str(folder), "DROPVIZ_DEVICE": "cpu", "DROPVIZ_SLOTS": "1"}
    for name in ("DROPVIZ_STORE", "DROPVIZ_SUPERVISED", "DROPVIZ_ENGINE"):
        environment.pop(name, None)
    environment |= {"DROPVIZ_STORE": url} if url else {}
    root = str(Path(__file__).resolve().parents[1])
    environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [environment.get("PYTHONPATH")])])
    return House(folder=folder, store=Store.open(url or folder / "dropviz.db"), environment=environment)
