"""What stands before Streamlit's own route for uploads, which holds each file in memory until the session ends that it came by.

A page says how large its file may be, but only in the browser; the route takes as many as anybody sends.
"""

from __future__ import annotations

from contextlib import ExitStack

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime import exists, get_instance
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from dropviz.choices import SpecError
from dropviz.web.allowance import Allowance
from dropviz.web.senders import owner

ROUTE = "/_stcore/upload_file/"  # a server that is below a path has that before it
MOST_BYTES = 100_000_000  # of one person within an hour: twice what is kept, since not all of it is
MOST_HELD = 300_000_000  # of all people at once


class UploadLimits:
    """Takes no upload beyond what one person may send within an hour, and what all may have in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._allowance = Allowance(MOST_BYTES)
        self._coming = 0  # bytes that are on their way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is no upload, or not too much."""
        if scope["type"] != "http" or scope["method"] != "PUT" or ROUTE not in scope["path"]:
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        # Beside a Transfer-Encoding a length counts for nothing: the body ends where its last piece does.
        if not length.isdecimal() or "transfer-encoding" in headers:
            refusal = PlainTextResponse("Say how long the file is, by Content-Length alone.", 411)
            return await refusal(scope, receive, send)
        size = int(length)
        if held() + self._coming + size > MOST_HELD:
            text = "This server holds as many files as it can at the moment: try again later."
            return await PlainTextResponse(text, 503)(scope, receive, send)
        with ExitStack() as taken:
            try:
                taken.enter_context(self._allowance.of(owner(headers), size))
            except SpecError as error:
                return await PlainTextResponse(str(error), 429)(scope, receive, send)
            self._coming += size
            taken.callback(self._arrived, size)
            try:
                await self.app(scope, _no_more_than(size, receive), send)
            except _MoreCame:
                text = "More came than Content-Length says: send the file again with its whole length."
                await PlainTextResponse(text, 400, {"Connection": "close"})(scope, receive, send)

    def _arrived(self, size: int) -> None:
        self._coming -= size


class _MoreCame(Exception):
    """A body is longer than was said, and than was counted."""


def _no_more_than(size: int, receive: Receive) -> Receive:
    """What comes, as long as it is no more than was said, whatever reads HTTP before us."""
    left = size

    async def counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _MoreCame
        return message

    return counted


def held() -> int:
    """Bytes of the files that Streamlit has in memory."""
    files = get_instance().uploaded_file_mgr if exists() else None
    if not isinstance(files, MemoryUploadedFileManager):
        return 0
    return sum(one.byte_length for found in files.get_stats().values() for one in found)
