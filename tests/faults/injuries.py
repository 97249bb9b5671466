"""What goes wrong in a random fault run: each function does one fault to a site, and says False where there is nothing to hit."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.disks import filled
from tests.faults.site import Site

DAY = 86_400.0
AWAKE_WITHIN = 1.5  # seconds that something stays frozen, or full, in most cases
SILENT = 12.0  # and now and then longer than a lease


@dataclass(frozen=True, kw_only=True)
class Injury:
    """One kind of fault, and how often it is chosen; some need a disk of their own, a database server or a cluster."""

    name: str
    act: Callable[[Site, random.Random], bool]
    weight: float
    disk: bool = False
    database: bool = False
    cluster: bool = False


def _kill(*roles: str) -> Callable[[Site, random.Random], bool]:
    def act(site: Site, generator: random.Random) -> bool:
        there = site.processes(*roles)
        if not there:
            return False
        site.kill(generator.choice(there).pid)
        return True

    return act


def _kill_serve(site: Site, generator: random.Random) -> bool:
    """Nothing may be left of one that was alone; a new one goes on."""
    server = site.answering()
    server.process.kill()
    server.process.wait()
    if len(site.servers) == 1:
        site.bury()
        site.serve()
    else:
        site.servers.remove(server)
    return True


def _two_servers(site: Site, _: random.Random) -> bool:
    """One more server, as if somebody had started it by mistake; there are never more than two."""
    if len(site.servers) > 1:
        return _kill_serve(site, random.Random(0))
    site.serve()
    return True


def _container(site: Site, _: random.Random) -> bool:
    site.restart_container()
    return True


def _freeze(*roles: str) -> Callable[[Site, random.Random], bool]:
    """SIGSTOP, and SIGCONT a while later."""

    def act(site: Site, generator: random.Random) -> bool:
        there = site.processes(*roles)
        if not there:
            return False
        pids = [generator.choice(there).pid] if len(roles) == 1 else [one.pid for one in there]
        for pid in pids:
            site.kill(pid, signal.SIGSTOP)
        time.sleep(SILENT if generator.random() < 0.1 else AWAKE_WITHIN * generator.random())
        for pid in pids:
            site.kill(pid, signal.SIGCONT)
        return True

    return act


def _full_disk(site: Site, generator: random.Random) -> bool:
    with filled(site.folder):
        time.sleep(SILENT if generator.random() < 0.2 else 2 * AWAKE_WITHIN * generator.random())
    return True


def _damage_checkpoint(site: Site, generator: random.Random) -> bool:
    """Another length, another bit, another job's or nothing at all; then its child is killed, so that it is read."""
    running = {job.id: job.pid for job in site.store.live_jobs() if job.state == "running" and job.pid}
    there = [path for job in sorted(running) if (path := site.checkpoint(job)).exists()]
    if not there:
        return False
    path = generator.choice(there)
    pid = running[int(path.stem)]
    assert pid is not None
    site.kill(pid, signal.SIGSTOP)
    with suppress(FileNotFoundError):
        content = bytearray(path.read_bytes())
        damage(path, content, generator)
    site.kill(pid)
    return True


def damage(path: Path, content: bytearray, generator: random.Random) -> None:
    """Write a checkpoint back with something wrong with it."""
    others = [other for other in path.parent.glob("*.safetensors") if other != path]
    kind = generator.choice(("shorter", "bit", "bit", "empty", "another's"))
    if kind == "another's" and others:
        content = bytearray(others[0].read_bytes())
    elif kind == "shorter":
        content = content[: generator.randrange(len(content))]
    elif kind == "empty":
        content = bytearray()
    else:
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def _clock(site: Site, generator: random.Random) -> bool:
    site.set_clock(generator.choice((DAY, -DAY, 0.0, 3600.0)))
    return True


def _crash_database(site: Site, generator: random.Random) -> bool:
    assert site.database
    site.database.crash()
    time.sleep(AWAKE_WITHIN * generator.random())
    site.database.start()
    return True


def _kill_scheduler(site: Site, generator: random.Random) -> bool:
    """Its workers end with it, and the engine; until somebody waits for anything, nobody starts it again."""
    if not _kill("scheduler")(site, generator):
        return False
    time.sleep(AWAKE_WITHIN * generator.random())
    return True


INJURIES = (
    Injury(name="kill -9 of a training child", act=_kill("child"), weight=28),
    Injury(name="kill -9 of the engine", act=_kill("engine"), weight=10),
    Injury(name="kill -9 of the fork server", act=_kill("fork server"), weight=8),
    Injury(name="kill -9 of Streamlit", act=_kill("page"), weight=5),
    Injury(name="kill -9 of dropviz serve", act=_kill_serve, weight=3),
    Injury(name="a second server, or the end of one of two", act=_two_servers, weight=4),
    Injury(name="container restart", act=_container, weight=3),
    Injury(name="SIGSTOP of a child, and SIGCONT", act=_freeze("child"), weight=12),
    Injury(name="SIGSTOP of the engine, and SIGCONT", act=_freeze("engine"), weight=6),
    Injury(
        name="all of it frozen, and thawed",
        act=_freeze("engine", "child", "fork server", "page", "serve", "scheduler", "worker"),
        weight=3,
    ),
    Injury(name="full disk", act=_full_disk, weight=8, disk=True),
    Injury(name="damaged checkpoint, and kill -9", act=_damage_checkpoint, weight=12),
    Injury(name="clock jump", act=_clock, weight=6),
    Injury(name="crash of the database server", act=_crash_database, weight=10, database=True),
    Injury(name="kill -9 of a worker of the cluster", act=_kill("worker"), weight=12, cluster=True),
    Injury(name="SIGSTOP of a worker, and SIGCONT", act=_freeze("worker"), weight=8, cluster=True),
    Injury(name="kill -9 of the scheduler", act=_kill_scheduler, weight=4, cluster=True),
)


def has_disk() -> bool:
    """Whether there can be a disk to fill: only root can make a small one."""
    return os.geteuid() == 0


def possible(site: Site) -> list[Injury]:
    """Those that can be done to a site."""
    return [
        injury
        for injury in INJURIES
        if (not injury.disk or has_disk())
        and (not injury.database or site.database)
        and (not injury.cluster or site.cluster)
    ]
