"""The processes of a server, found by a mark in their environment, so that none of them hides by losing its parent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.houses import is_alive

MARK = "FAULTS_MARK"


@dataclass(frozen=True, kw_only=True)
class Process:
    """One of them, by what it does: serve, engine, fork server, child, page or tracker; the scheduler or a worker of a cluster."""

    pid: int
    parent: int
    role: str


def marked(mark: str) -> list[Process]:
    """All that were started with this mark, and what descends from them."""
    wanted = f"{MARK}={mark}".encode()
    found: dict[int, tuple[int, bytes]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0") and is_alive(int(entry.name)):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                found[int(entry.name)] = parent, (entry / "cmdline").read_bytes()
        except (OSError, IndexError):  # it ended meanwhile
            continue
    return [
        Process(pid=pid, parent=parent, role=_role(parent, command, found))
        for pid, (parent, command) in found.items()
    ]


def _role(parent: int, command: bytes, found: dict[int, tuple[int, bytes]]) -> str:
    if b"multiprocessing.forkserver" in command:
        forked = b"multiprocessing.forkserver" in found.get(parent, (0, b""))[1]
        return "child" if forked else "fork server"
    if b"resource_tracker" in command:
        return "tracker"
    if b"/dask\0" in command:
        return "worker" if b"\0worker\0" in command else "scheduler"
    if b"dropviz.engine" in command:
        return "engine"
    return "page" if b"streamlit" in command else "serve"
