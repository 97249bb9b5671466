"""What a What-if page of 400 cells costs the server: the script, and a refresh while cells come in, by a real connection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from benchmarks.measure import Row, Summary, temporary_data
from benchmarks.viewers import _cpu_seconds, _server
from dropviz.engine import lock
from dropviz.experiment import preset
from dropviz.store import Point, Store
from dropviz.sweeps import Axis, Sweep, grid
from dropviz.web.visitor import COOKIE

ME = "0123456789abcdef" * 2
SIDE = 20
ARMS = 'arms=["none", "dropout", "explicit+implicit"]'
SETTINGS = (ARMS, "seeds=6", "train.steps=300", "observe.evaluations=1")
METRICS = ("test/accuracy", "test/loss", "term/explicit", "regularizer/monte_carlo")
OTHERS = 60  # further metrics that a job leaves, among which these are found
PATIENCE_SECONDS = 120.0
MOST_MILLISECONDS, MOST_QUIET = 60, 20
MOST_BYTES = 100_000
PAUSE_SECONDS = 4.0  # for which a picture of 400 cells is not drawn anew


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One run of the script or of its part that follows the cells."""

    cpu: float
    wall: float
    bytes: int


@dataclass
class Tab:
    """The page that somebody has open: it speaks as the browser does, and keeps the messages that may be kept."""

    connection: ClientConnection
    process: int
    query: str
    kept: set[str] = field(default_factory=set)
    fragment: str = ""

    def run(self, fragment: str = "") -> Pass:
        """Ask for the script, or for one part of it, and take all that comes of it."""
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_name = "what-if"
        message.rerun_script.fragment_id = fragment
        message.rerun_script.cached_message_hashes.extend(self.kept)
        before, started, size = _cpu_seconds(self.process), time.perf_counter(), 0
        self.connection.send(message.SerializeToString())
        while True:
            raw = self.connection.recv(timeout=PATIENCE_SECONDS)
            size += len(raw)
            found = ForwardMsg.FromString(raw if isinstance(raw, bytes) else raw.encode())
            if found.metadata.cacheable and found.hash:
                self.kept.add(found.hash)
            if found.WhichOneof("type") == "auto_rerun":
                self.fragment = found.auto_rerun.fragment_id
            if found.WhichOneof("type") == "script_finished":
                return Pass(
                    cpu=1000 * (_cpu_seconds(self.process) - before),
                    wall=1000 * (time.perf_counter() - started),
                    bytes=size,
                )


def measure(*, quick: bool) -> list[Row]:
    """A sweep of 20 × 20 cells, filled as the engine would without training anything; nobody else is there."""
    rounds = 5 if quick else 20
    with temporary_data() as folder:
        store = Store.open()
        lock.acquire()  # the server finds an engine here, and starts none that would train the cells
        store.database.write = partial(store.database.write, durable=False)  # type: ignore[method-assign]  # only filling
        try:
            sweep_id, queued = _queue(store)
            _fill(store, 3 * SIDE * SIDE - 3 * rounds)
            with _server(folder) as (port, process):
                headers = {"Cookie": f"{COOKIE}={ME}"}
                address = f"ws://127.0.0.1:{port}/_stcore/stream"
                with connect(
                    address, subprotocols=["streamlit"], additional_headers=headers, max_size=None
                ) as connection:  # type: ignore[list-item]
                    tab = Tab(connection=connection, process=process, query=f"sweep={sweep_id}&show=ratio")
                    return [queued, *_passes(store, tab, rounds)]
        finally:
            store.close()


def _passes(store: Store, tab: Tab, rounds: int) -> list[Row]:
    first = tab.run()
    again = [tab.run() for _ in range(rounds)]
    new, quiet = [], []
    for _ in range(rounds):
        _fill(store, 3)
        time.sleep(PAUSE_SECONDS)
        new.append(tab.run(tab.fragment))
        time.sleep(1.0)
        quiet.append(tab.run(tab.fragment))
    return [
        *_rows("the script, first visitor", [first]),
        *_rows("the script, again", again),
        *_rows("a refresh, a cell is new", new, MOST_MILLISECONDS, MOST_BYTES),
        *_rows("a refresh, nothing is new", quiet, MOST_QUIET, MOST_BYTES // 10),
    ]


def _rows(
    name: str, passes: Sequence[Pass], milliseconds: int | None = None, size: int | None = None
) -> list[Row]:
    cpu = Summary.of([one.cpu for one in passes])
    sent = Summary.of([float(one.bytes) for one in passes])
    return [
        Row(
            name=name,
            value=cpu,
            unit="CPU-ms",
            target=f"≤ {milliseconds} ms" if milliseconds else "",
            met=cpu.median <= milliseconds if milliseconds else None,
        ),
        Row(name=f"{name}: on the wall", value=Summary.of([one.wall for one in passes]), unit="ms"),
        Row(
            name=f"{name}: sent",
            value=sent,
            unit="bytes",
            target=f"≤ {size:,}" if size else "",
            met=sent.median <= size if size else None,
        ),
    ]


def _queue(store: Store) -> tuple[str, Row]:
    base = preset("classroom").with_settings(SETTINGS)
    widths = grid(8, 256, SIDE, "log", whole=True)
    axes = [Axis(key="p", values=grid(0.05, 0.9, SIDE)), Axis(key="width", values=widths)]
    started = time.process_time()
    sweep_id = store.sweeps.submit(Sweep(base=base, axes=axes), ME)
    taken = time.process_time() - started
    return sweep_id, Row(name="400 cells are queued", value=Summary.of([taken]), unit="CPU-s")


def _fill(store: Store, jobs: int) -> None:
    """So many jobs to their end, as a child would leave them."""
    random = np.random.default_rng(0)
    names = (*METRICS, *(f"other/{number}" for number in range(OTHERS)))
    for _ in range(jobs):
        claim = store.claim("benchmark")
        assert claim is not None
        store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
        points = [
            Point(seq=seq, step=300, name=name, values=random.uniform(0.5, 1, len(claim.seeds)))
            for seq, name in enumerate(names)
        ]
        store.append(claim.job_id, claim.attempt, points, step=300)
        store.finish(claim.job_id, claim.attempt, "done")
