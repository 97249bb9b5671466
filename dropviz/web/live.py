"""The live data route ``/live/{view id}?cursor=``: only what is new, checked, and never on the event loop."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import OrderedDict
from functools import cache
from pathlib import Path

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dropviz import settings
from dropviz.store import Store, UnknownExperiment
from dropviz.web import examples
from dropviz.web.reader import Cursor, Reader

MOST_READERS = 64
IDLE_SECONDS = 120.0
VIEW_ID = re.compile(r"[0-9a-f]{32}")

logger = logging.getLogger(__name__)


class Readers:
    """The readers of the experiments that somebody watches; idle ones are forgotten."""

    def __init__(self, store: Store, most: int = MOST_READERS) -> None:
        self.store, self.most = store, most
        self._lock = threading.Lock()
        self._readers: OrderedDict[str, tuple[Reader, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._readers)

    def get(self, view_id: str) -> Reader:
        """The reader of this experiment, made where there is none.

        Raises:
            UnknownExperiment: No experiment has this id.
        """
        with self._lock:
            known = self._readers.pop(view_id, None)
            reader = known[0] if known else Reader(self.store, view_id)
            self._readers[view_id] = (reader, time.monotonic())
            self._forget()
        return reader

    def _forget(self) -> None:
        now = time.monotonic()
        while self._readers:
            view_id, (_, used) = next(iter(self._readers.items()))
            if len(self._readers) <= self.most and now - used < IDLE_SECONDS:
                return
            del self._readers[view_id]


def store() -> Store:
    """The store of this process's data directory, opened when first asked for."""
    return _open(settings.store_url())


def readers() -> Readers:
    """The readers over that store."""
    return _readers(settings.store_url())


@cache
def _open(url: str) -> Store:
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return Store.open(url, verify=False)


@cache
def _readers(url: str) -> Readers:
    return Readers(_open(url))


def answer(view_id: str, cursor_text: str) -> tuple[int, bytes]:
    """Status and JSON for one poll; every refusal is one sentence."""
    try:
        cursor = Cursor.parse(cursor_text) if cursor_text else None
    except ValueError as error:
        return 400, _refusal(str(error))
    try:
        if view_id.startswith(examples.PREFIX):
            return 200, examples.example(view_id).read(cursor)
        if VIEW_ID.fullmatch(view_id) is None:
            return 400, _refusal(f"{view_id[:40]!r} is not an experiment's id: use the link as it was given.")
        return 200, readers().get(view_id).read(cursor)
    except UnknownExperiment as error:
        return 404, _refusal(str(error))
    except Exception:
        logger.exception("live data of %s", view_id)
        return 500, _refusal("The server could not read this experiment; it is in the server's log.")


async def live(request: Request) -> Response:
    """The route: reading the store happens in a thread."""
    status, body = await run_sync(
        answer, request.path_params["view_id"], request.query_params.get("cursor", "")
    )
    return Response(body, status, {"Cache-Control": "no-store"}, "application/json")


def _refusal(sentence: str) -> bytes:
    return json.dumps({"error": sentence}).encode()


route = Route("/live/{view_id}", live)
