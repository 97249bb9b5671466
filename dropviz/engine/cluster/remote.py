"""What runs inside a Dask worker: looking round, one job, and the end of one. Orders come as JSON, never as functions.

The job is the same child as on one machine, forked from a server that belongs to the worker's process: it cannot outlive that.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from concurrent.futures import Future
from dataclasses import asdict
from functools import cache
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from dropviz import settings
from dropviz.engine.checkpoints import Checkpoints
from dropviz.engine.cluster.facts import PROCESS, Facts, own_versions
from dropviz.engine.nursery import Nursery
from dropviz.store import Claim, Store

# Multiprocessing has each child import the main module of its parent, which is Dask's command line.
MAIN = ("dask.__main__",)
# Dask repeats an order within a few minutes or never, and no worker carries out so many meanwhile.
REMEMBERED = 4096

_running: dict[str, ForkServerProcess | None] = {}  # the children by the names of their orders
_ended: dict[str, None] = {}  # orders that were carried out, or called off before they came; the latest last
# A child gets the GPU with the fewest children, so those before it have to be counted already.
_starting = asyncio.Lock()


@cache
def _nursery() -> Nursery:
    return Nursery(settings.store_url())


async def look(asked: str) -> str:
    """What this worker has; ``asked`` names the engine's probe file. The answer is a JSON table of ``Facts``."""
    return json.dumps(await asyncio.to_thread(_look, json.loads(asked)["probe"]))


def _look(probe: str) -> dict[str, Any]:
    found: dict[str, Any] = own_versions()
    found["daemon"] = bool(multiprocessing.current_process().daemon)
    try:
        found["device"] = settings.device()
        _check_there_is_a_store()
        store = Store.open(verify=False)
        folder = Checkpoints(store).folder
        found |= {"folder": str(folder), "probe": _read_and_answer(folder / probe)}
        found["engines"] = [worker.id for worker in store.workers()]
        store.close()
    except (ValueError, OSError) as error:
        found["problem"] = f"{error}"
    return asdict(Facts(**found))


def _check_there_is_a_store() -> None:
    """A SQLite file that is not there would be made, where nobody looks for it."""
    url = settings.store_url()
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).exists():
        raise ValueError(
            f"there is no store in {path}: set DROPVIZ_DATA, and DROPVIZ_STORE if the page has it, to what the page has."
        )


def _read_and_answer(path: Path) -> str:
    try:
        content = path.read_text()
    except FileNotFoundError:
        return ""
    answer = path.with_name(f"{path.name}-{PROCESS}")  # it must write here, too
    answer.write_text(content)
    answer.unlink()
    return content


async def warm() -> None:
    """Start the fork server and wait until it has imported torch. Dask runs this in the thread that lives longest."""
    await asyncio.wrap_future(_warmed())


@cache
def _warmed() -> Future[None]:
    return _nursery().warm(MAIN)


async def run(order: str) -> int:
    """Carry out an order, which a JSON table describes: run a job in a child; returns the child's exit code.

    Raises:
        RuntimeError: The order is for a process that is gone, or has been carried out: Dask repeats what it lost sight of,
            but an attempt of a job runs once.
    """
    asked = json.loads(order)
    name = asked["name"]
    if asked["process"] != PROCESS or name in _ended or name in _running:
        raise RuntimeError("the order was for an earlier process, or came twice")
    claim = Claim(**asked["claim"] | {"seeds": tuple(asked["claim"]["seeds"])})
    _running[name] = None
    try:
        async with _starting:
            child = await asyncio.to_thread(_nursery().start, claim, asked["jobs"])
        _running[name] = child
        if name in _ended:
            child.kill()
        await _end_of(child.sentinel)
        code = child.exitcode
        assert code is not None
        _nursery().bury(child)
        return code
    finally:
        del _running[name]
        _remember(name)


def _remember(name: str) -> None:
    """Note that an order is over, and forget the oldest of very many: a worker may live for months."""
    _ended.pop(name, None)
    _ended[name] = None
    while len(_ended) > REMEMBERED:
        del _ended[next(iter(_ended))]


async def _end_of(sentinel: int) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(sentinel)


async def stop(name: str) -> bool:
    """Kill the child of an order; False if it has not begun, which it then never does."""
    _remember(name)
    if name not in _running:
        return False
    if (child := _running[name]) is not None:
        child.kill()
    return True
