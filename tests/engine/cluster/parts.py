"""A Dask cluster of real processes, started by the command lines of the documents, and their certificates."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dropviz.engine.lifeline import death_signal
from tests.houses import command_of, family_of, free_port, is_alive, wait_until

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "clusters-dask.md"
DASK = str(Path(sys.executable).with_name("dask"))


def command(part: str) -> list[str]:
    """The words after ``dask`` of the one line of the documents that has this in it."""
    lines = DOCUMENT.read_text("utf-8").replace("\\\n", "").splitlines()
    (line,) = [line for line in lines if part in line]
    return shlex.split(line.partition("dask ")[2])


def documented(part: str) -> list[str]:
    """The same, but for where it listens or connects."""
    here = ("--host", "127.0.0.1", "--port", "8786", "tcp://127.0.0.1:8786", "--no-nanny")
    return [word for word in command(part) if word not in here]


SCHEDULER = documented("dask scheduler --host 127.0.0.1")
WORKER = documented("127.0.0.1:0 tcp://127.0.0.1:8786")


@dataclass
class Cluster:
    """A scheduler and its workers; ``environment`` is that of all its processes."""

    folder: Path
    environment: dict[str, str]
    host: str = "127.0.0.1"
    tls: Sequence[str] = ()
    ttl: str = "15s"  # the silence after which the scheduler gives a worker up, as in the documents
    port: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: Counter[str] = field(default_factory=Counter)  # how often, by name

    @property
    def url(self) -> str:
        return f"{'tls' if self.tls else 'tcp'}://{self.host}:{self.port}"

    def start(self) -> None:
        """Start the scheduler, and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port(self.host)
        where = ("--host", self.host, "--port", str(self.port), *self.tls)
        if self.tls:
            where += ("--protocol", "tls")
        self._start(
            "scheduler", [DASK, *SCHEDULER, *where], {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": self.ttl}
        )
        wait_until(lambda: "Scheduler at:" in self.log("scheduler"), "the scheduler listens")

    def add(
        self,
        name: str,
        *more: str,
        line: Sequence[str] = WORKER,
        within: Sequence[str] = (),
        nanny: bool = False,
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until the scheduler has it."""
        local = ("--name", name, "--local-directory", str(self.folder / name))
        kept = () if nanny else ("--no-nanny",)
        self._start(name, [*within, DASK, *line, *kept, *local, *self.tls, *more, self.url], environment)
        wait_until(lambda: "Registered to:" in self.log(name), f"{name} registered")
        return self.processes[name]

    def _start(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        path = self.folder / f"{name}.log"
        if path.exists():
            path.rename(path.with_suffix(f".{self.started[name]}.log"))
        self.started[name] += 1
        with path.open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=death_signal(),  # a test run that is killed leaves no cluster behind
            )

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def worker_of(self, pid: int) -> str:
        """The name of the worker that a child belongs to."""
        (name,) = [name for name, one in self.processes.items() if pid in family_of(one.pid)]
        return name

    def kill(self, name: str) -> None:
        """Kill one process, and nothing of what it started."""
        self.processes[name].kill()
        self.processes.pop(name).wait(10)

    def wait_for_end(self, name: str, family: Iterable[int], seconds: float) -> None:
        """Wait until a process and its family are gone by themselves; a failure says who is left, and the process's last words."""
        try:
            wait_until(
                lambda: not any(is_alive(pid) for pid in family), f"{name} and its family end", seconds
            )
        except AssertionError as error:
            left = [f"{pid}: {command_of(pid)}" for pid in family if is_alive(pid)]
            raise AssertionError("\n".join([f"{error}", *left, self.log(name)[-4000:]])) from None
        self.processes.pop(name).wait(10)

    def mend(self) -> None:
        """Start again what has ended, as whoever keeps such processes does, workers as ``add(name)`` does; the scheduler first."""
        ended = [name for name, one in self.processes.items() if one.poll() is not None]
        for name in sorted(ended, key=lambda name: name != "scheduler"):
            del self.processes[name]
            if name == "scheduler":
                self.start()
            else:
                self.add(name)

    def close(self) -> None:
        """End all; fails if anything outlives the process that it belongs to."""
        families = set().union(*(family_of(one.pid) for one in self.processes.values()))
        for one in self.processes.values():
            one.send_signal(signal.SIGCONT)
            one.kill()
        for one in self.processes.values():
            one.wait(10)
        wait_until(lambda: not any(is_alive(pid) for pid in families), "all are gone", 10)


def make_certificates(folder: Path) -> Path:
    """An authority of its own, and certificates for nodes and for an engine, by the commands of the documents."""
    folder.mkdir(parents=True, exist_ok=True)
    (commands,) = re.findall(r"^```bash\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    done = subprocess.run(["bash", "-ec", commands], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def tls_options(folder: Path) -> tuple[str, ...]:
    """What a scheduler or worker is told of its certificates."""
    parts = {"ca-file": "ca.pem", "cert": "node.pem", "key": "node.key"}
    return tuple(word for part, file in parts.items() for word in (f"--tls-{part}", str(folder / file)))


def tls_settings(folder: Path) -> dict[str, str]:
    """What an engine is told of its certificates."""
    parts = {"CA": "ca.pem", "CERT": "engine.pem", "KEY": "engine.key"}
    return {f"DROPVIZ_TLS_{part}": str(folder / file) for part, file in parts.items()}


def cluster_environment(environment: dict[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in environment.items() if not key.startswith("DASK_")}
    return kept | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
