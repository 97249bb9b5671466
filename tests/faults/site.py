"""A data directory, the ``dropviz serve`` processes on it, and what their pages say."""

from __future__ import annotations

import json
import math
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from dropviz.engine.checkpoints import Checkpoints
from dropviz.engine.lifeline import death_signal
from dropviz.store import Store
from tests import postgres
from tests.engine.cluster.parts import Cluster, cluster_environment
from tests.faults.processes import MARK, Process, marked
from tests.houses import free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
STEP_SECONDS = 0.002  # that each training step waits, by the shim
PATIENCE = 300.0  # far longer than anything takes, also on a machine that does much else
WITHIN = float(os.environ.get("FAULTS_WITHIN", "inf"))  # seconds until a page is true
LASTS_SECONDS = 1.0  # that the truth has to be told: right after a fault all may still look as it did before
TOLD: list[tuple[float, str]] = []  # how long each took, and what the page said then
WORKERS = ("one", "two")  # of a cluster
GRACE_SECONDS = 10.0  # of a container, between SIGTERM and SIGKILL


class Server:
    """A running ``dropviz serve``."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "dropviz", "serve", "--port", str(self.port)]
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=file,
                preexec_fn=death_signal(),  # a test that is killed leaves nothing behind either
            )

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a request; 0 where nobody answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException):
            return 0, b""
        finally:
            connection.close()

    def live(self, view_id: str) -> dict[str, Any]:
        """What the page is told about an experiment; empty where nobody answers."""
        status, body = self.get(f"/live/{view_id}")
        return json.loads(body) | {"status": status} if status else {}

    def healthy(self) -> bool:
        """Whether the page answers."""
        return self.get("/_stcore/health")[0] == 200


class Site:
    """A data directory that is served, by one server or several.

    Args:
        folder: The data directory.
        beside: A directory for logs and the clock, on a disk that does not fail.
        database: The server that has the store; by default it is a file in the folder.
        settings: More environment.
    """

    def __init__(
        self, folder: Path, beside: Path, database: postgres.Server | None = None, **settings: str
    ) -> None:
        self.folder, self.beside, self.mark = folder, beside, secrets.token_hex(8)
        self.database = database
        self.log, self.clock, self.step = (beside / name for name in ("serve.log", "clock", "step"))
        self.set_step(str(STEP_SECONDS))
        kept = {key: value for key, value in os.environ.items() if not key.startswith("DROPVIZ_")}
        path = os.pathsep.join([str(Path(__file__).with_name("shim")), str(ROOT)])
        self.environment = kept | {"PYTHONPATH": path, MARK: self.mark, "FAULTS_CLOCK": str(self.clock)}
        self.environment |= {"DROPVIZ_DATA": str(folder), "DROPVIZ_DEVICE": "cpu", "DROPVIZ_SLOTS": "2"}
        self.environment |= {"FAULTS_STEP": str(self.step)}
        self.environment |= {"DROPVIZ_STORE": database.create()} if database else {}
        self.environment |= settings
        self.servers: list[Server] = []
        self._store: Store | None = None
        self.cluster: Cluster | None = None

    def start_cluster(self, *workers: str) -> None:
        """Have Dask workers of these names do the jobs of all servers that are started from now on.

        They and their scheduler have a mark of their own, as the end of a server is not that of other machines.
        """
        self._open()  # the workers take no store that is not there
        environment = cluster_environment(self.environment | {MARK: self._cluster_mark})
        self.cluster = Cluster(self.beside / "cluster", environment)
        self.cluster.start()
        for name in workers:
            self.cluster.add(name)
        self.environment["DROPVIZ_ENGINE"] = self.cluster.url

    @property
    def _cluster_mark(self) -> str:
        return f"{self.mark}-cluster"

    @property
    def store(self) -> Store:
        """The store, opened when it is first asked for."""
        return self._store or self._open()

    def _open(self) -> Store:
        if self._store is None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(
                    "DROPVIZ_DATA", str(self.folder)
                )  # where the files are of what is not in the database
                self._store = Store.open(
                    self.environment.get("DROPVIZ_STORE", self.folder / "dropviz.db"), verify=False
                )
                self._checkpoints = Checkpoints(self._store)
        return self._store

    def checkpoint(self, job_id: int) -> Path:
        """The file in which a job's checkpoint is, if it has one."""
        self._open()
        return self._checkpoints.path(job_id)

    def forget_store(self) -> None:
        """Let go of the database file."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def serve(self) -> Server:
        """Start one more server."""
        self.servers.append(Server(self.environment, self.log))
        return self.servers[-1]

    def answering(self) -> Server:
        """The first server that is alive, once its page answers."""
        self.servers = [server for server in self.servers if server.process.poll() is None]
        server = self.servers[0]
        self.wait(server.healthy, "the page answers")
        return server

    def doubled(self) -> list[str]:
        """What there is more of than there should be: engines, fork servers and pages."""
        alive = sum(server.process.poll() is None for server in self.servers)
        workers = len(self.processes("worker"))
        most = {"engine": 1, "fork server": max(1, workers), "page": alive}
        there = {role: [one.pid for one in self.processes(role)] for role in most}
        return [f"{role}: {pids}" for role, pids in there.items() if len(pids) > most[role]]

    def processes(self, *roles: str) -> list[Process]:
        """The processes that do this; all where nothing is named."""
        there = marked(self.mark) + (marked(self._cluster_mark) if self.cluster else [])
        return [one for one in there if not roles or one.role in roles]

    def process(self, role: str) -> int:
        """The one process that does this, once it is there."""
        self.wait(lambda: self.processes(role), f"there is a process: {role}")
        return self.processes(role)[0].pid

    def parent(self, pid: int) -> int:
        """The process that a process was started by."""
        return next(one.parent for one in self.processes() if one.pid == pid)

    def child_of(self, view_id: str, step: int = 1) -> int:
        """The process of an experiment's running job, once it is past a step."""

        def running() -> list[int | None]:
            jobs = self.store.experiment(view_id).jobs
            return [job.pid for job in jobs if job.state == "running" and job.pid and job.step >= step]

        self.wait(running, "a job runs")
        found = running()
        return found[0] if found and found[0] else self.child_of(view_id, step)

    def wait(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> float:
        """Wait for a condition, while what has ended of the cluster is started again; the seconds that took."""

        def looked_after() -> object:
            if self.cluster:
                self.cluster.mend()
            return condition()

        started = time.monotonic()
        try:
            wait_until(looked_after, what, seconds)
        except AssertionError as error:
            ends = (f"{log.name}:\n{log.read_text(errors='replace')[-3000:]}" for log in self._logs())
            raise AssertionError("\n".join([str(error), *ends])) from None
        return time.monotonic() - started

    def said(self) -> str:
        """What all processes have said so far: those of the cluster first, then those of the servers."""
        return "".join(log.read_text(errors="replace") for log in self._logs())

    def _logs(self) -> list[Path]:
        return [*sorted(self.beside.glob("cluster/*.log")), *self.beside.glob(self.log.name)]

    def page_says(self, view_id: str, *states: str) -> float:
        """Wait until the page shows one of these states; the seconds that took."""
        return self.in_time(
            lambda: self.answering().live(view_id).get("state") in states, " or ".join(states)
        )

    def page_is_true(self, *view_ids: str) -> float:
        """Wait until the page tells the truth about all of these, and goes on telling it; the seconds until it began to."""
        started, since = time.monotonic(), math.inf

        def lasts() -> bool:
            nonlocal since
            server = self.answering()
            told = all(self._told(server, view_id) for view_id in view_ids)
            since = min(since, time.monotonic()) if told else math.inf
            return time.monotonic() - since >= LASTS_SECONDS

        self.wait(lasts, "the page is true")
        return _in_time(since - started, "what is true")

    def _told(self, server: Server, view_id: str) -> bool:
        """Whether the page says what the store says, and what is said to run has its process."""
        before = self.store.experiment(view_id).state
        shown = server.live(view_id).get("state")
        experiment = self.store.experiment(view_id)
        if shown not in (before, experiment.state) and (shown, experiment.state) != ("cached", "done"):
            return False
        running = {job.pid for job in experiment.jobs if job.state == "running"}
        return shown != "running" or running <= {one.pid for one in self.processes("child")}

    def in_time(self, condition: Callable[[], object], what: str) -> float:
        """Wait for something that the page says; the seconds that took.

        Where ``FAULTS_WITHIN`` names seconds, as ``make faults`` does, it may not take longer: on an idle machine, since none of
        the usual tests depends on the time.
        """
        return _in_time(self.wait(condition, f"the page says {what}"), what)

    def finish(self, view_id: str) -> str:
        """Wait for an experiment's end, in the store and on the page; the state reached."""
        ended = ("done", "failed", "stopped")
        self.wait(lambda: self.store.experiment(view_id).state in ended, "the end")
        state = self.store.experiment(view_id).state
        self.page_says(view_id, state)
        return state

    def restart_container(self, grace: float = GRACE_SECONDS) -> None:
        """SIGTERM to every process of the servers, SIGKILL to what is left after a while, and a new start."""
        for one in marked(self.mark):
            _signal(one.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while marked(self.mark) and time.monotonic() < deadline:
            time.sleep(0.05)
        for one in marked(self.mark):
            _signal(one.pid, signal.SIGKILL)
        self.bury()
        self.serve()

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal; a process that has ended already is none's loss."""
        _signal(pid, number)

    @contextmanager
    def frozen(self, pid: int) -> Iterator[None]:
        """Have a process stand still for the length of a block."""
        self.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self.kill(pid, signal.SIGCONT)

    def checkpointed(self, view_id: str) -> None:
        """Wait until a run is past its first checkpoint."""
        job = self.store.experiment(view_id).jobs[0]
        self.wait(self.checkpoint(job.id).exists, "a checkpoint")
        saved = self.store.experiment(view_id).jobs[0].step
        self.wait(lambda: self.store.experiment(view_id).jobs[0].step > saved, "points past it")

    def bury(self) -> None:
        """Wait for the servers that were killed, and for all of their processes to be gone."""
        self.wait(lambda: not marked(self.mark), "no process is left")
        for server in self.servers:
            server.process.wait(20)
        self.servers = []

    def set_clock(self, seconds: float) -> None:
        """Set the clock of all processes forward, or back, from the true time."""
        _write(self.clock, str(seconds))

    def set_step(self, told: str) -> None:
        """How long each training step waits, in seconds, or ``hang`` or ``hang alone``."""
        _write(self.step, told)

    def close(self) -> None:
        """End all as a person would, with Ctrl-C, and see that nothing is left."""
        self.forget_store()
        for server in self.servers:
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGINT)
        cluster, self.cluster = self.cluster, None
        try:
            self.bury()
            if cluster:
                cluster.close()
                self.wait(lambda: not marked(self._cluster_mark), "no process of the cluster is left")
        finally:
            for one in marked(self.mark) + marked(self._cluster_mark):
                _signal(one.pid, signal.SIGKILL)


def _in_time(took: float, what: str) -> float:
    TOLD.append((took, what))
    assert took <= WITHIN, f"the page said {what} after {took:.1f} s, and not within {WITHIN:g}"
    return took


def _write(path: Path, text: str) -> None:
    whole = path.with_suffix(".new")
    whole.write_text(text)
    whole.replace(path)


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
