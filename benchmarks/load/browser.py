"""What a browser does on the wire, without one: HTTP that stays connected, and a page's websocket in Streamlit's protocol."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

PATIENCE_SECONDS = 60.0
WIDGET = re.compile(r"\$\$ID-[0-9a-f]{32}-(.*)")
EARLY = ForwardMsg.FINISHED_EARLY_FOR_RERUN
Value = bool | int | float | str | list[float]


class Failed(RuntimeError):
    """The server refused, or a page says that something went wrong."""


@dataclass(kw_only=True)
class Http:
    """A connection to the server that is kept, as a browser keeps it; opened when first needed."""

    port: int
    cookie: str = ""
    _stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> bytes:
        """The body of an answer.

        Raises:
            Failed: Its status is none of success.
        """
        reused = self._stream is not None
        try:
            head, headers, body = await self._answer(path)
        except (OSError, EOFError):
            await self.close()
            if not reused:
                raise
            head, headers, body = await self._answer(
                path
            )  # a server hangs up where nobody asks for some seconds
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if "set-cookie" in headers:
            self.cookie = headers["set-cookie"].partition(";")[0]
        status = head.split(maxsplit=2)[1]
        if not status.startswith("2"):
            raise Failed(f"{path}: status {status}: {body[:200]!r}")
        return body

    async def _answer(self, path: str) -> tuple[str, dict[str, str], bytes]:
        if self._stream is None:
            self._stream = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
        reader, writer = self._stream
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Accept-Encoding: gzip"]
        lines += [f"Cookie: {self.cookie}"] if self.cookie else []
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            pairs = (line.partition(": ") for line in head.split("\r\n"))
            headers = {name.lower(): value for name, _, value in pairs}
            return head, headers, await reader.readexactly(int(headers.get("content-length", "0")))

    async def close(self) -> None:
        """Hang up."""
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None


@dataclass(kw_only=True)
class Page:
    """A page that somebody has open: its widgets by the end of their keys and by label, what they hold, and its address."""

    connection: ClientConnection
    name: str
    query: str
    widgets: dict[str, str] = field(default_factory=dict)
    held: dict[str, WidgetState] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)

    @classmethod
    async def open(cls, port: int, cookie: str, name: str, query: str = "") -> Page:
        """Connect as this visitor's browser does."""
        connection = await connect(
            f"ws://127.0.0.1:{port}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            additional_headers={"Cookie": cookie},
            origin=f"http://127.0.0.1:{port}",  # type: ignore[arg-type]
            max_size=None,
            open_timeout=PATIENCE_SECONDS,
        )
        return cls(connection=connection, name=name, query=query)

    async def close(self) -> None:
        """Close the tab."""
        await self.connection.close()

    async def run(self, *triggers: WidgetState) -> float:
        """Have the script run and take all that comes of it; returns the seconds until it is there.

        Raises:
            Failed: It says that something went wrong.
        """
        message = BackMsg()
        asked = message.rerun_script
        asked.query_string, asked.page_name = self.query, self.name
        asked.cached_message_hashes.extend(self.kept)
        asked.widget_states.widgets.extend([*self.held.values(), *triggers])
        started = time.perf_counter()
        await self.connection.send(message.SerializeToString())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._take(ForwardMsg.FromString(await self.connection.recv(decode=False))):
                pass
        return time.perf_counter() - started

    async def set(self, key: str, value: Value) -> float:
        """Move a widget."""
        state = WidgetState(id=self.widgets[key])
        if isinstance(value, list):
            state.double_array_value.data.extend(value)
        elif isinstance(value, str):
            state.string_value = value
        else:
            state.double_value = value
        self.held[key] = state
        return await self.run()

    async def press(self, key: str) -> float:
        """Press a button."""
        return await self.run(WidgetState(id=self.widgets[key], trigger_value=True))

    async def report(self, component: str, event: str, value: Any) -> float:
        """What a component of the page tells the script, such as the board that its run has another state."""
        events = f"$$STREAMLIT_INTERNAL_KEY_{self.widgets[component]}__events"
        told = json.dumps([{"event": event, "value": value}])
        return await self.run(WidgetState(id=events, json_trigger_value=told))

    def _take(self, found: ForwardMsg) -> bool:
        """Keep what a message brings; returns whether it was the last one."""
        kind = found.WhichOneof("type")
        if found.metadata.cacheable and found.hash:
            self.kept.add(found.hash)
        if kind == "delta":
            self._look(found.delta.new_element)
        elif kind == "page_info_changed":
            self.query = found.page_info_changed.query_string
        elif kind in ("page_not_found", "parent_message"):
            raise Failed(f"{self.name}: {kind}")
        return kind == "script_finished" and found.script_finished != EARLY

    def _look(self, element: Any) -> None:
        kind = element.WhichOneof("type")
        found = getattr(element, kind) if kind else None
        if kind == "exception" or (kind == "alert" and found.format == Alert.ERROR):
            raise Failed(f"{self.name}: {found.message if kind == 'exception' else found.body}")
        if match := WIDGET.fullmatch(getattr(found, "id", "")):
            self.widgets |= dict.fromkeys(
                (match[1].rpartition("/")[2], getattr(found, "label", "")), match[0]
            )


def parts(query: str) -> Mapping[str, str]:
    """The names and values of a query, as far as these need no decoding."""
    return dict(part.partition("=")[::2] for part in query.split("&") if part)
