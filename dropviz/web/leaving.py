"""Files on their way to browsers: one at a time of one person, a few of all, each in its place until its response has ended.

They lie in the data directory, whose disk is looked at, without a name, so that they are gone when nobody reads them any more.
The folder for temporary files is no place for them: in a container it is small, and uploads need it.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import IO
from weakref import WeakValueDictionary

from anyio import Semaphore, move_on_after
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dropviz import settings
from dropviz.choices import SpecError

PLACES = 16  # files of all people that are made or on their way at the same time; whoever comes then waits
PATIENCE_SECONDS = 30.0  # for a place
STALLED_SECONDS = (
    20.0  # in which a browser takes the next piece; less than the patience, so that no place is lost for long
)
CHUNK = 2**18  # bytes of a piece
PREFIX = "dropviz-"
logger = logging.getLogger(__name__)


class Busy(SpecError):
    """There was no place in time; ``status`` is what HTTP calls that."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Places:
    """Who has a file made or sent to them; for one event loop."""

    def __init__(self, most: int = PLACES) -> None:
        self._all = Semaphore(most)
        self._own: WeakValueDictionary[str, Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, sender: str) -> AsyncIterator[None]:
        """A place for the length of a block, which is waited for.

        Raises:
            Busy: Another file of this sender, or too many of others, are still on their way.
        """
        mine = Busy(
            429,
            "Another file is still on its way to you: take that one first, or ask again when it is there.",
        )
        all_taken = Busy(
            503, "This server hands out as many files as it can at the moment: ask again in a minute."
        )
        own = self._own.setdefault(sender, Semaphore(1))
        async with _turn(own, mine), _turn(self._all, all_taken):
            yield


@asynccontextmanager
async def _turn(places: Semaphore, refusal: Busy) -> AsyncIterator[None]:
    with move_on_after(PATIENCE_SECONDS) as waiting:
        await places.acquire()
    if waiting.cancelled_caught:
        raise refusal
    try:
        yield
    finally:
        places.release()


class Download(Response):
    """A file in pieces. What is held for it is given back when the response has ended: when all is sent, when the browser goes
    away, or when it takes nothing for a while.

    Args:
        file: Stands at its beginning.
        held: The file and its place.
        headers: Of the answer, its length among them.
        media_type: Of the file.
    """

    def __init__(
        self, file: IO[bytes], held: AsyncExitStack, headers: dict[str, str], media_type: str
    ) -> None:
        super().__init__(headers=headers, media_type=media_type)
        self.file, self.held = file, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        request = Request(scope, receive)
        async with self.held:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while content := await run_sync(self.file.read, CHUNK):
                with move_on_after(STALLED_SECONDS) as waiting:
                    await send({"type": "http.response.body", "body": content, "more_body": True})
                if waiting.cancelled_caught:
                    logger.warning("a browser took nothing of its file for a while; the download was ended")
                    return
                if await request.is_disconnected():
                    return
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def folder() -> Path:
    """Where the files lie."""
    return settings.data_dir() / "exports"


def new_file() -> IO[bytes]:
    """An empty file that is gone when it is closed, however this process ends."""
    return tempfile.TemporaryFile(prefix=PREFIX, dir=_swept(folder()))


@cache
def _swept(place: Path) -> Path:
    """The folder, without what a process left that was killed where a file cannot be without a name."""
    place.mkdir(parents=True, exist_ok=True)
    for path in place.glob(f"{PREFIX}*"):
        path.unlink(missing_ok=True)
    return place
