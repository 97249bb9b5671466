"""A visitor without a browser: a websocket that speaks Streamlit's protocol as the browser does, and counts what that costs.

It asks for a run of a page's script, keeps the messages that may be kept, and takes what comes until the script has finished.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from benchmarks.served import cpu_seconds
from dropviz.web.visitor import COOKIE

ME = "0123456789abcdef" * 2
PATIENCE_SECONDS = 120.0
FAILED = "Something went wrong on this page"  # what a visitor is told (see web/server.py)


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One run of a page's script, or of its part that runs by itself: milliseconds, and bytes that were sent."""

    cpu: float
    wall: float
    bytes: int


@dataclass
class Tab:
    """A page that somebody has open; ``fragment`` is its part that runs by itself, once there is one."""

    connection: ClientConnection
    process: int
    page: str
    query: str
    kept: set[str] = field(default_factory=set)
    fragment: str = ""

    @classmethod
    def open(cls, port: int, process: int, page: str, query: str = "") -> Tab:
        """Connect with the visitor's cookie; ``process`` is the server's, whose time is counted."""
        connection = connect(
            f"ws://127.0.0.1:{port}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            additional_headers={"Cookie": f"{COOKIE}={ME}"},
            max_size=None,
        )
        return cls(connection=connection, process=process, page=page, query=query)

    def run(self, fragment: str = "") -> Pass:
        """Ask for the script, or for one part of it, and take all that comes of it.

        Raises:
            RuntimeError: The script failed.
        """
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_name = self.page
        message.rerun_script.fragment_id = fragment
        message.rerun_script.cached_message_hashes.extend(self.kept)
        before, started, size = cpu_seconds(self.process), time.perf_counter(), 0
        self.connection.send(message.SerializeToString())
        while True:
            raw = self.connection.recv(timeout=PATIENCE_SECONDS)
            size += len(raw)
            found = ForwardMsg.FromString(raw if isinstance(raw, bytes) else raw.encode())
            self._take(found)
            if found.WhichOneof("type") == "script_finished":
                cpu, wall = cpu_seconds(self.process) - before, time.perf_counter() - started
                return Pass(cpu=1000 * cpu, wall=1000 * wall, bytes=size)

    def _take(self, found: ForwardMsg) -> None:
        kind = found.WhichOneof("type")
        if found.metadata.cacheable and found.hash:
            self.kept.add(found.hash)
        if kind == "auto_rerun":
            self.fragment = found.auto_rerun.fragment_id
        if kind == "delta" and found.delta.new_element.WhichOneof("type") == "exception":
            raise RuntimeError(found.delta.new_element.exception.message)
        if kind == "delta" and found.delta.new_element.alert.body.startswith(FAILED):
            raise RuntimeError(f"{self.page} failed: the server's log says why")
