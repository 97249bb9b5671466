"""What an engine and its workers must have in common, and the sentence that says where they differ."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropviz import settings
from dropviz.experiment import code_version

BOOT = Path("/proc/sys/kernel/random/boot_id")  # the same in all containers of a machine


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What one process has: its code, its machine, and what it finds in the storage that all share.

    ``probe`` is what it read in the file that the engine wrote, ``engines`` the engines that its store knows, and ``problem``
    the sentence of a setting, store or folder that it cannot use. ``process`` is a name that no other process has.
    """

    process: str
    host: str
    machine: str
    code: str
    torch: str
    device: str = ""
    folder: str = ""
    probe: str = ""
    engines: tuple[str, ...] = ()
    daemon: bool = False
    problem: str = ""


PROCESS = secrets.token_hex(8)


def own_versions() -> dict[str, Any]:
    """The facts that need no setting to be right."""
    return {
        "process": PROCESS,
        "host": socket.gethostname(),
        "machine": BOOT.read_text().strip() if BOOT.exists() else socket.gethostname(),
        "code": code_version(),
        "torch": settings.version_of("torch"),
    }


@contextmanager
def probe(folder: Path) -> Iterator[tuple[str, str]]:
    """Within the block a file lies among the checkpoints; yields its name and what is in it, both never used before."""
    name, content = f".probe-{secrets.token_hex(8)}", secrets.token_hex(16)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    try:
        yield name, content
    finally:
        path.unlink(missing_ok=True)


def objection(worker: Facts, engine: Facts, *, one_machine: bool) -> str | None:
    """Why a worker gets no jobs, in one sentence; None if it is as it should be.

    Args:
        worker: What the worker has.
        engine: What this process has.
        one_machine: Whether the store is of a kind that works on one machine only.
    """
    for name, theirs, ours in (("code", worker.code, engine.code), ("torch", worker.torch, engine.torch)):
        if theirs != ours:
            what = "DropViz's code is" if name == "code" else "torch is"
            return f"{what} {theirs} there and {ours} here: install the same version on both."
    if worker.daemon:
        return (
            "it is a daemonic process, which may start no others: start it with --no-nanny, or with"
            " DASK_DISTRIBUTED__WORKER__DAEMON=False."
        )
    if worker.problem:
        return worker.problem
    if worker.device.partition(":")[0] != engine.device.partition(":")[0]:
        return f"it trains on {worker.device}, and this engine's runs are for {engine.device}: set DROPVIZ_DEVICE on both."
    if worker.probe != engine.probe:
        return (
            f"it does not see the file that was just written to {engine.folder} in {worker.folder}: have both on storage"
            " that all machines share, and set DROPVIZ_DATA to it everywhere."
        )
    if not set(worker.engines) & set(engine.engines):
        return "its store is another one: set DROPVIZ_STORE to the same database everywhere."
    if one_machine and worker.machine != engine.machine:
        return (
            f"it is on another machine ({worker.host}), and SQLite works on one only: set DROPVIZ_STORE to a PostgreSQL"
            " database everywhere."
        )
    return None
