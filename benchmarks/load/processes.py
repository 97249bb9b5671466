"""What the processes of a server take, read from /proc: memory, processor time, threads and open files."""

from __future__ import annotations

import os
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.served import cpu_seconds

PARENT, WAITED_FOR = 0, slice(12, 14)  # in /proc/PID/stat past the state
TICKS = os.sysconf("SC_CLK_TCK")
PAGE, ENGINE, FORK_SERVER = "page", "engine", "fork server"
ROLES = {PAGE: b"streamlit", ENGINE: b"dropviz.engine\0", FORK_SERVER: b"multiprocessing.forkserver"}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One process at one moment: resident memory in MB, threads, open files, and seconds of processor time so far."""

    megabytes: float
    threads: int
    files: int
    cpu: float


def family(serve: int) -> dict[str, int]:
    """Role → process of those that live as long as the server.

    Raises:
        LookupError: One of them is not there.
    """
    parents = {pid: _stat(pid)[PARENT] for pid in _processes()}
    found: dict[str, int] = {}
    members = {serve}
    while new := {pid for pid, parent in parents.items() if parent in members} - members:
        members |= new
        for pid in sorted(new):
            for role, mark in ROLES.items():
                if mark in _command(pid):
                    found.setdefault(role, pid)
    if missing := ROLES.keys() - found.keys():
        raise LookupError(f"dropviz serve has no {', '.join(sorted(missing))}: see its messages")
    return found


def sample(pid: int) -> Sample:
    """A process as it is now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    values = dict(line.partition(":\t")[::2] for line in status.splitlines())
    return Sample(
        megabytes=int(values["VmRSS"].split()[0]) / 1024,
        threads=int(values["Threads"]),
        files=len(os.listdir(f"/proc/{pid}/fd")),
        cpu=cpu_seconds(pid),
    )


def children_seconds(fork_server: int) -> float:
    """Processor time of the training processes: those that ended, and those that run."""
    seconds = sum(_stat(fork_server)[WAITED_FOR]) / TICKS
    for pid in _processes():
        if _stat(pid)[PARENT] == fork_server:
            with suppress(OSError):  # it has just ended
                seconds += cpu_seconds(pid)
    return seconds


def machine_seconds() -> float:
    """Processor time of everything on this machine since it began, on all cores."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")[0].split()[1:]
    user, nice, system, _idle, _waiting, *others = map(int, fields[:8])
    return (user + nice + system + sum(others)) / TICKS


def sessions(port: int) -> int:
    """Of pages that are open, as the server's metrics have it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return int(float(next(line for line in lines if line.startswith("dropviz_open_pages ")).split()[1]))


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _stat(pid: int) -> list[int]:
    """The numbers in /proc/PID/stat past the state; none of one that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return [-1]
    return [int(number) for number in text.rpartition(")")[2].split()[1:]]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
