"""A real server under load: thirty students who press Run at once, a hundred viewers, and what that takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from benchmarks.load import processes
from benchmarks.load.clock import ORIGIN
from benchmarks.load.processes import Sample
from benchmarks.load.watching import Findings
from benchmarks.measure import say, temporary_data
from benchmarks.served import ROOT, server
from dropviz.classes import ClassDefinition
from dropviz.engine.lifeline import death_signal
from dropviz.experiment import preset
from dropviz.store import Store

PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.25
CLASS_VIEWERS = 0.1  # share


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """How many come, and how they behave.

    Attributes:
        students: Who launch; they are among the viewers.
        viewers: All who watch.
        seconds: After which all is ended; None: when every student's first run is done.
        again: Whether who is done starts another run.
        stay: Seconds that an onlooker stays with a run, on average.
        settings: What all runs have otherwise than the classroom preset.
        earlier: Jobs that the server has done before they come.
        afterwards: Seconds until a last look at the server, when all have left; 0: none.
    """

    students: int = 30
    viewers: int = 100
    seconds: float | None = None
    again: bool = False
    stay: float = 60.0
    settings: Sequence[str] = ()
    earlier: int = 0
    afterwards: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """The server at one moment of the load.

    Attributes:
        at: Seconds since everybody pressed Run.
        processes: By role.
        sessions: Pages that are open.
        log: MB of the store's write-ahead log.
        store: MB of its file.
        machine: Seconds of processor time of everything on the machine so far.
    """

    at: float
    processes: dict[str, Sample]
    sessions: int
    log: float
    store: float
    machine: float


@dataclass(kw_only=True)
class Observed:
    """What a crowd saw, and what it took.

    Attributes:
        looks: At the server, from when all pages were open until the end.
        left: At the server long after all had left; None if nobody waited for that.
        clients: Seconds of processor time of the crowd's processes.
        children: The same of the training processes.
        seconds: From Run to the end.
        warnings: Lines of the server's messages that say warning, error or traceback.
    """

    findings: Findings = field(default_factory=Findings)
    looks: list[Look] = field(default_factory=list)
    left: Look | None = None
    children: float = 0.0
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)


def observe(crowd: Crowd, every: float = 10.0, told: Callable[[Look], None] = lambda look: None) -> Observed:
    """Let a crowd loose on ``dropviz serve``, which is looked at every so many seconds.

    Raises:
        TimeoutError: The pages could not be opened.
        RuntimeError: A process of the crowd ended before its time.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_data())
        stack.enter_context(_settings())
        code = _class(crowd)
        port, page = stack.enter_context(server(folder))
        roles = processes.family(_parent(page))
        if crowd.earlier:
            _age(crowd, roles[processes.ENGINE])
        return _Scene(crowd, port, roles, folder, every, told).play(code, stack)


class _Scene:
    def __init__(
        self,
        crowd: Crowd,
        port: int,
        roles: dict[str, int],
        folder: Path,
        every: float,
        told: Callable[[Look], None],
    ) -> None:
        self.crowd, self.port, self.roles, self.folder = crowd, port, roles, folder
        self.every, self.told = every, told
        self.observed = Observed()

    def play(self, code: str, stack: ExitStack) -> Observed:
        crowd, in_class = self.crowd, round(CLASS_VIEWERS * self.crowd.viewers)
        others = crowd.viewers - crowd.students - in_class
        again = "again" if crowd.again else "once"
        students = stack.enter_context(
            _client("students", self.port, crowd.students, code, again, *crowd.settings)
        )
        onlookers = stack.enter_context(_client("onlookers", self.port, others, in_class, crowd.stay, code))
        for client in (onlookers, students):
            client.wait_for("ready")
        say(f"{crowd.students} pages are open")
        began, children = time.monotonic(), processes.children_seconds(self.roles[processes.FORK_SERVER])
        self._keep_look(began)
        students.write("go")
        self._attend(students, onlookers, began)
        self._keep_look(began)
        self.observed.seconds = time.monotonic() - began
        self.observed.children = processes.children_seconds(self.roles[processes.FORK_SERVER]) - children
        for client in (onlookers, students):
            client.write("stop")
        for client in (onlookers, students):
            self.observed.findings += Findings(**client.wait_for("findings"))
            client.end()
        if crowd.afterwards:
            say(f"all have left; a last look after {crowd.afterwards:.0f} s")
            time.sleep(crowd.afterwards)
            self.observed.left = self._look(began)
        self.observed.warnings = _warnings(self.folder / "serve.log")
        return self.observed

    def _attend(self, students: _Client, onlookers: _Client, began: float) -> None:
        """Pass on which runs there are, until it is over."""
        looked = began
        while self.crowd.seconds is None or time.monotonic() - began < self.crowd.seconds:
            for line in students.lines(LOOK_SECONDS):
                if "done" in line:
                    return
                onlookers.write(json.dumps(line))
            if time.monotonic() - looked >= self.every:
                looked += self.every
                self._keep_look(began)

    def _keep_look(self, began: float) -> None:
        look = self._look(began)
        self.observed.looks.append(look)
        self.told(look)

    def _look(self, began: float) -> Look:
        database = self.folder / "dropviz.db"
        return Look(
            at=time.monotonic() - began,
            processes={role: processes.sample(pid) for role, pid in self.roles.items()},
            sessions=processes.sessions(self.port),
            log=_megabytes(database.with_name("dropviz.db-wal")),
            store=_megabytes(database),
            machine=processes.machine_seconds(),
        )


class _Client:
    """A process of the crowd, which speaks in lines of JSON."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name, self.process = name, process
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def write(self, line: str) -> None:
        """Say one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Have it leave."""
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)

    def lines(self, seconds: float) -> Iterator[dict[str, Any]]:
        """What it says within so many seconds.

        Raises:
            RuntimeError: It has ended.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except Empty:
                return
            if not line:
                raise RuntimeError(f"the process of the {self.name} ended: see its messages")
            yield json.loads(line)

    def wait_for(self, what: str) -> Any:
        """What it says of this.

        Raises:
            TimeoutError: It does not.
        """
        for line in self.lines(PATIENCE_SECONDS):
            if what in line:
                return line[what]
        raise TimeoutError(f"the {self.name} are not {what} within {PATIENCE_SECONDS:.0f} seconds")


@contextmanager
def _client(name: str, *arguments: object) -> Iterator[_Client]:
    command = [sys.executable, "-m", f"benchmarks.load.{name}", *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=death_signal()
    ) as process:
        try:
            yield _Client(name, process)
        finally:
            process.terminate()  # does nothing to one that has ended


@contextmanager
def _settings() -> Iterator[None]:
    """The server and its crowd share a clock, and the server says how many pages are open."""
    settings = {"DROPVIZ_EXTENSIONS": str(Path(__file__).with_name("clock.py")), "DROPVIZ_METRICS": "1"}
    settings[ORIGIN] = str(time.monotonic())
    former = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in former.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _class(crowd: Crowd) -> str:
    """The code of a class on the preset, in which the learning rate is open."""
    spec = preset("classroom").with_settings(crowd.settings)
    definition = ClassDefinition.of(spec, "Load", open=("train.learning_rate",), seeds=spec.seeds)
    store = Store.open()
    try:
        return store.classes.code(store.classes.create(definition, "teacher"))
    finally:
        store.close()


def _age(crowd: Crowd, engine: int) -> None:
    with _client("ageing", crowd.earlier) as ageing:
        while True:
            for line in ageing.lines(LOOK_SECONDS):
                if "aged" in line:
                    return
                megabytes = processes.sample(engine).megabytes
                say(f"  {line['jobs']:,} jobs before anybody comes: engine {megabytes:.1f} MB")


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 2**20 if path.exists() else 0.0


def _warnings(log: Path) -> list[str]:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if any(word in line.lower() for word in ("warning", "error", "traceback"))]
