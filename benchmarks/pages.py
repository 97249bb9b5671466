"""What a page costs the server: processor time, wall time and bytes of a script run, first and again, by a real connection.

A visitor here is a websocket that speaks Streamlit's protocol as the browser does: it asks for a run of the script, keeps
the messages that may be kept, and counts what comes until the script has finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from benchmarks.filled import fill
from benchmarks.measure import Row, Summary, temporary_data
from benchmarks.viewers import _cpu_seconds, _server
from dropviz.store import Store
from dropviz.web.visitor import COOKIE

ME = "0123456789abcdef" * 2
MOST_MILLISECONDS = 150  # processor time of a refresh of Compare with everything in it
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """One run of a page's script."""

    cpu: float
    wall: float
    bytes: int


@dataclass
class Tab:
    """A page that somebody has open."""

    connection: ClientConnection
    query: str
    page: str
    process: int
    kept: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, port: int, process: int, page: str, query: str = "") -> Tab:
        """Connect as a browser does, with the visitor's cookie."""
        connection = connect(
            f"ws://127.0.0.1:{port}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            additional_headers={"Cookie": f"{COOKIE}={ME}"},
            max_size=None,
        )
        return cls(connection=connection, query=query, page=page, process=process)

    def refresh(self) -> Refresh:
        """Ask for a run of the script and take all that comes of it.

        Raises:
            RuntimeError: The script failed.
        """
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_name = self.page
        message.rerun_script.cached_message_hashes.extend(self.kept)
        before, started, size = _cpu_seconds(self.process), time.perf_counter(), 0
        self.connection.send(message.SerializeToString())
        while True:
            raw = self.connection.recv(timeout=PATIENCE_SECONDS)
            size += len(raw)
            found = ForwardMsg.FromString(raw if isinstance(raw, bytes) else raw.encode())
            if found.metadata.cacheable and found.hash:
                self.kept.add(found.hash)
            if (
                found.WhichOneof("type") == "delta"
                and found.delta.new_element.WhichOneof("type") == "exception"
            ):
                raise RuntimeError(found.delta.new_element.exception.message)
            if found.WhichOneof("type") == "script_finished":
                return Refresh(
                    cpu=_cpu_seconds(self.process) - before, wall=time.perf_counter() - started, bytes=size
                )


def measure(*, quick: bool) -> list[Row]:
    """The Lab with its example, and Compare with 50 runs of 1,000 points × 20 metrics of two arms (of 10 × 100, quick)."""
    runs, points, repetitions = (10, 100, 3) if quick else (50, 1000, 9)
    with temporary_data():
        store = Store.open()
        ids = fill(store, ME, runs=runs, points=points, metrics=20)
        store.close()
        from dropviz import settings

        with _server(settings.data_dir()) as (port, process):
            _warm(port, process)
            what = f"Compare, {runs} runs of {points:,} points × 20 metrics"
            return [
                *_rows("Lab, its example", lambda: Tab.open(port, process, "lab"), repetitions),
                *_rows(
                    what,
                    lambda: Tab.open(port, process, "compare", f"runs={','.join(ids)}"),
                    repetitions,
                    target=None if quick else MOST_MILLISECONDS,
                ),
            ]


def _warm(port: int, process: int) -> None:
    """What only the first visitor of a server pays for: modules, carried results, compiled pages."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/lab")
    connection.getresponse().read()
    for page in ("lab", "compare"):
        Tab.open(port, process, page).refresh()


def _rows(name: str, opened: Callable[[], Tab], repetitions: int, target: float | None = None) -> list[Row]:
    tab = opened()
    first, again = tab.refresh(), [tab.refresh() for _ in range(repetitions)]
    tab.connection.close()
    cpu = _summary([1000 * one.cpu for one in again])
    promised = {} if target is None else {"target": f"≤ {target:g} ms", "met": cpu.median <= target}
    return [
        Row(name=f"{name}: CPU of the first script run", value=_summary([1000 * first.cpu]), unit="ms"),
        Row(name=f"{name}: CPU of a refresh", value=cpu, unit="ms", **promised),  # type: ignore[arg-type]
        Row(name=f"{name}: time of a refresh", value=_summary([1000 * one.wall for one in again]), unit="ms"),
        Row(name=f"{name}: bytes, first", value=_summary([float(first.bytes)]), unit="bytes"),
        Row(
            name=f"{name}: bytes of a refresh",
            value=_summary([float(one.bytes) for one in again]),
            unit="bytes",
        ),
    ]


def _summary(values: Sequence[float]) -> Summary:
    return Summary.of(list(values))
