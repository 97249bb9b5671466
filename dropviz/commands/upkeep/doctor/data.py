"""Checks of what is kept: the data directory, the store, the disk, data sets."""

from __future__ import annotations

import hashlib
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator, Set
from contextlib import closing, suppress
from pathlib import Path
from urllib import request
from urllib.parse import urlsplit

from dropviz import settings
from dropviz.commands.upkeep.doctor.registry import Answer, Context, check
from dropviz.datasets import Dataset, registry
from dropviz.downloads import shown_size
from dropviz.store import StoreError
from dropviz.store.database.sqlite import VERIFIED_BYTES
from dropviz.store.looking import looking, try_writing
from dropviz.store.migrations import VERSION
from dropviz.store.parts import Parts

LOW_BYTES, FEWEST_BYTES = 2 * 10**9, 100 * 10**6
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs", "lustre", "beegfs")
PATIENCE_SECONDS = 3.0  # for all servers of data sets together
MOUNTS = Path("/proc/self/mounts")


@check("data directory")
def data_directory(_: Context) -> Iterator[Answer]:
    """Can be written to, has room, and is on a local disk."""
    folder = settings.data_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-") as probe:
        probe.write(b"x" * 4096)
        probe.flush()
    yield "ok", f"{folder} can be written to", ""
    free = shutil.disk_usage(folder).free
    if free < FEWEST_BYTES:
        yield (
            "problem",
            f"only {shown_size(free)} are free on its disk",
            "Free some: dropviz prune deletes old runs.",
        )
    elif free < LOW_BYTES:
        yield (
            "warning",
            f"only {shown_size(free)} are free on its disk",
            "Free some: dropviz prune deletes old runs.",
        )
    else:
        yield "ok", f"{shown_size(free)} are free on its disk", ""


@check("store")
def store(_: Context) -> Iterator[Answer]:
    """Whole, of this version, and can be written to; it stays as it is, so that a look before an upgrade upgrades nothing."""
    url = settings.store_url()
    yield from _of_file(url, Parts.of_settings()) if url.startswith("sqlite:///") else _of_server(url)


def _of_server(url: str) -> Iterator[Answer]:
    with looking(url) as database:
        assert database is not None
        if 0 < database.schema < VERSION:
            yield _former(
                database.schema, "Stop what serves it, and pg_dump it: it is upgraded when it is opened"
            )
        try:
            try_writing(database)
        except StoreError as error:
            todo = "Name the server that takes writes in DROPVIZ_STORE, and a role that owns the tables."
            yield "problem", str(error), todo
            return
        said = f"schema {database.schema}" if database.schema else "empty; dropviz serve makes its tables"
        yield "ok", f"{database.place} answers and can be written to: {said}", ""


def _of_file(url: str, parts: Parts) -> Iterator[Answer]:
    folder = parts.database.parent
    folder.mkdir(parents=True, exist_ok=True)
    kind = file_system(folder)
    if kind in NETWORK:
        todo = "Set DROPVIZ_DATA to a directory on a local disk: SQLite's log needs one."
        yield "problem", f"{folder} is on a network file system ({kind})", todo
    if (reason := _no_log(folder)) is not None:
        todo = "Set DROPVIZ_DATA to a directory on a local disk that can be written to."
        yield "problem", f"{folder} takes no write-ahead log of SQLite's ({reason})", todo
        return
    try:
        yield from _looked_at(url, parts.database)
    except StoreError as error:
        yield "problem", str(error), "dropviz restore FILE takes a backup."
        return
    copies = sorted(folder.glob(f"{parts.database.name}.schema-*.bak"))
    if copies:
        names = ", ".join(path.name for path in copies)
        yield "ok", f"copies from before upgrades: {names}; delete them when all is well", ""


def _looked_at(url: str, path: Path) -> Iterator[Answer]:
    with looking(url) as database:
        if database is None:
            yield "ok", f"{path}: none yet; dropviz serve makes it", ""
            return
        if 0 < database.schema < VERSION:
            yield _former(
                database.schema, "Stop what serves it: it is upgraded when it is opened, and a copy is kept"
            )
        size, whole = path.stat().st_size, "whole"
        with database.read() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
            if size > VERIFIED_BYTES:
                whole = f"its pages are not checked, being more than {shown_size(VERIFIED_BYTES)}"
                whole += f" (sqlite3 {path} 'PRAGMA quick_check' does)"
            elif (sound := connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()) != "ok":
                yield "problem", f"{path} is damaged: {sound}", "dropviz restore FILE takes a backup."
                return
        try:
            try_writing(database)
        except StoreError as error:
            yield "problem", str(error), f"Let the user who serves write to {path} and its directory."
            return
        yield "ok", f"{path}: schema {database.schema}, {mode} mode, {shown_size(size)}, {whole}", ""


def _former(found: int, todo: str) -> Answer:
    return "warning", f"it has schema {found}, and this version {VERSION}", f"{todo}; see docs/upgrading.md."


def _no_log(folder: Path) -> str | None:
    """Why SQLite cannot write with its log there; None where it can. Really tried: some file systems refuse only then."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".probe-") as probe:
        try:
            with closing(sqlite3.connect(Path(probe) / "probe.db")) as connection:
                mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                connection.execute("CREATE TABLE probe (x)")
        except sqlite3.Error as error:
            return str(error)
    return None if mode == "wal" else f"its mode stays {mode}"


def file_system(folder: Path) -> str:
    """The kind of the file system that a folder is on; empty where that cannot be told."""
    try:
        mounts = [line.split()[1:3] for line in MOUNTS.read_text("utf-8").splitlines()]
    except OSError:
        return ""
    there = next(path for path in (folder, *folder.parents) if path.exists()).resolve()
    below = [(place, kind) for place, kind in mounts if there.is_relative_to(place.replace("\\040", " "))]
    return max(below, key=lambda found: len(found[0]), default=("", ""))[1]


@check("data sets")
def data_sets(_: Context) -> Iterator[Answer]:
    """Which are here; of those that were fetched, the hashes of all but large files are compared."""
    here: list[str] = []
    absent: list[str] = []
    damaged: list[str] = []
    unread: list[str] = []
    for name in sorted(registry.members):
        data = registry.read(name)
        if not data.files:
            (absent if data.missing() else here).append(name)
        elif data.download().cached:
            (here if _verified(data) else damaged).append(name)
            unread += [name] if any(file.size > VERIFIED_BYTES for file in data.files) else []
        else:
            (absent if data.missing() else here).append(name)
    if damaged:
        names = ", ".join(damaged)
        yield (
            "warning",
            f"files of {names} are damaged",
            f"Delete them in {settings.cache_dir()} and fetch again.",
        )
    said = f"{len(here)} are here"
    said += f"; of large files the sizes alone were compared: {', '.join(unread)}" if unread else ""
    yield "ok", said + (f"; to be fetched when wanted: {', '.join(absent)}" if absent else ""), ""


@check("network")
def network(_: Context) -> Iterator[Answer]:
    """Whether a connection can be opened to where each data set that is not here would be fetched from."""
    doors = _doors()
    with_answer = _reached(doors)
    silent = sorted({host for host, _ in doors - with_answer})
    if silent:
        todo = "Nothing, if you need no other data sets; else connect this machine, or set HTTPS_PROXY."
        yield "warning", f"{', '.join(silent)} cannot be reached within {PATIENCE_SECONDS:.0f} s", todo
    elif doors:
        yield "ok", f"servers of data sets that can be reached: {len(doors)}", ""
    else:
        yield "ok", "nothing is to be fetched", ""


def _doors() -> set[tuple[str, int]]:
    """Host and port of each server, or of the proxy before it."""
    members = map(registry.read, registry.members)
    urls = {file.url for data in members if data.missing() for file in data.files}
    proxies = {scheme: proxy for scheme, proxy in request.getproxies().items() if "://" in proxy}
    found = set()
    for parts in map(urlsplit, urls):
        direct = request.proxy_bypass(parts.hostname or "")
        proxy = urlsplit("" if direct else proxies.get(parts.scheme, ""))
        door = proxy if proxy.hostname else parts
        found.add((str(door.hostname), door.port or {"http": 80}.get(door.scheme, 443)))
    return found


def _reached(doors: Set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those that answered; each is tried by a thread of its own, which is left behind where a name is looked up for long."""
    found = set()

    def attempt(door: tuple[str, int]) -> None:
        with suppress(OSError), socket.create_connection(door, PATIENCE_SECONDS):
            found.add(door)

    threads = [threading.Thread(target=attempt, args=(door,), daemon=True) for door in doors]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return set(found)


def _verified(data: Dataset) -> bool:
    """By the hashes of what is not large; that the sizes are right is known."""
    download = data.download()
    small = [file for file in download.files if file.size <= VERIFIED_BYTES]
    return all(_digest(download.path(file)) == file.sha256 for file in small)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
