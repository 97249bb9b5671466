"""Exports over real connections: who takes nothing, and who goes away, holds a place for a while and no longer."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import cache
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette

from dropviz.store import Store, limits
from dropviz.store.records import identity
from dropviz.web import exports, leaving
from dropviz.web.leaving import Places
from dropviz.web.server import middleware
from dropviz.web.visitor import COOKIE
from tests.houses import free_port, wait_until

NUMBERS = (
    400_000  # of a seed: 14 MB of weights in all, more than the system takes of a browser that takes nothing
)
A, B, C, D = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)
LONG = 60.0


@pytest.fixture
def path(store: Store, engine, spec) -> str:
    """A large file: the weights of a run."""
    view_id = store.submit(spec)
    engine.run_all()
    random = np.random.default_rng(0)
    for job in store.experiment(view_id).jobs:
        of = identity(spec.canonical(), job.arm, job.seeds)
        weights = random.integers(0, 2**31, (len(job.seeds), NUMBERS), np.int32).view(np.float32)
        store.weights.keep(job.id, 40, {"weight": weights}, of, 1)
    return f"/export/{view_id}/safetensors"


@pytest.fixture
def port(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The route with all that stands before it, with two places, served in a thread."""
    monkeypatch.setattr(exports, "_places", cache(lambda: Places(2)))
    port = free_port()
    app = Starlette(routes=[exports.route], middleware=middleware())
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, "the server listens")
        yield port
    finally:
        server.should_exit = server.force_exit = True
        thread.join(20)


def patient(monkeypatch: pytest.MonkeyPatch, patience: float, stalled: float = LONG) -> None:
    monkeypatch.setattr(leaving, "PATIENCE_SECONDS", patience)
    monkeypatch.setattr(leaving, "STALLED_SECONDS", stalled)


def answer(port: int, path: str, visitor: str) -> tuple[HTTPResponse, bytes]:
    """What somebody gets who takes all of it."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=LONG)) as connection:
        connection.request("GET", path, headers={"Cookie": f"{COOKIE}={visitor}"})
        found = connection.getresponse()
        return found, found.read()


def stalled(port: int, path: str, visitor: str) -> socket.socket:
    """The connection of somebody who takes the first bytes and no more."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(LONG)
    line.connect(("127.0.0.1", port))
    fields = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Cookie: {COOKIE}={visitor}"]
    line.sendall("\r\n".join([*fields, "", ""]).encode())
    assert line.recv(15) == b"HTTP/1.1 200 OK"
    return line


def held(data: Path) -> int:
    """Files of exports that this process has open, anywhere."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            name = os.readlink(entry)
        except OSError:
            continue
        found += name.endswith("(deleted)") and name.startswith(str(data / "exports"))
    return found


def test_who_takes_nothing_keeps_a_place_and_the_others_are_told_so(
    port: int, path: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch, 0.3)
    with ExitStack() as lines:
        for visitor in (A, B):
            lines.enter_context(stalled(port, path, visitor))
        assert held(data) == 2
        for visitor in (C, D):
            refused, body = answer(port, path, visitor)
            assert refused.status == 503
            assert json.loads(body)["error"].startswith("This server hands out as many files as it can")
        assert held(data) == 2
    wait_until(lambda: not held(data), "both have gone away")
    found, body = answer(port, path, C)
    assert (found.status, len(body)) == (200, int(found.headers["content-length"]))


def test_one_person_has_one_at_a_time_and_others_have_theirs(
    port: int, path: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch, 0.3)
    with stalled(port, path, A):
        refused, body = answer(port, path, A)
        assert refused.status == 429
        assert json.loads(body)["error"].startswith("Another file is still on its way to you")
        assert held(data) == 1
        assert answer(port, path, B)[0].status == 200
    wait_until(lambda: not held(data), "the first has gone away")
    assert answer(port, path, A)[0].status == 200


def test_a_place_is_waited_for(port: int, path: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient(monkeypatch, LONG)
    found: list[int] = []

    def take(visitor: str) -> None:
        found.append(answer(port, path, visitor)[0].status)

    with stalled(port, path, A), stalled(port, path, B):
        waiting = [threading.Thread(target=take, args=(visitor,)) for visitor in (A, C, D)]
        for thread in waiting:
            thread.start()
        places = exports._places()
        wait_until(
            lambda: (
                places._all.statistics().tasks_waiting == 2 and places._own[A].statistics().tasks_waiting == 1
            ),
            "all three wait",
        )
        assert held(data) == 2
        assert found == []
    for thread in waiting:
        thread.join(LONG)
    assert found == [200, 200, 200]


def test_who_takes_nothing_for_long_loses_the_file_and_its_place(
    port: int, path: str, data: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    patient(monkeypatch, LONG, stalled=0.5)
    with stalled(port, path, A) as first, stalled(port, path, B):
        found, body = answer(port, path, A)  # waits until the first is given up
        assert (found.status, len(body)) == (200, int(found.headers["content-length"]))
        wait_until(lambda: not held(data), "both are given up")
        rest = 0
        while piece := first.recv(2**16):
            rest += len(piece)
        assert rest < len(body)
    assert "took nothing of its file for a while" in caplog.text


def test_a_disk_that_fills_meanwhile_is_a_sentence_and_takes_nothing_more(
    port: int, path: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = exports.FORMATS["safetensors"].files
    given: list[str] = []

    def filling(store: Store, experiment: object) -> Iterator[tuple[str, bytes]]:
        for name, content in files(store, experiment):  # type: ignore[arg-type]
            given.append(name)
            if len(given) == 2:
                monkeypatch.setattr(limits, "LEAST_FREE", 10**30)
            yield name, content

    kept = exports.Kept(title="", note="", files=filling)
    monkeypatch.setitem(exports.FORMATS, "safetensors", kept)
    refused, body = answer(port, path, A)
    assert refused.status == 503
    assert "This server's disk has" in json.loads(body)["error"]
    assert len(given) == 2
    given.clear()
    assert answer(port, path, A)[0].status == 503
    assert (given, held(data)) == ([], 0)
