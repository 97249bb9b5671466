"""The data routes: ``/live/{view id}?page=&cursor=``, only what is new, and ``/arrays/{view id}/{kind}/{step}``.

Both are checked, and neither reads the store on the event loop.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from functools import cache
from typing import cast, get_args

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dropviz import logs, settings
from dropviz.charts import Page
from dropviz.store import Store, StoreError, UnknownClass, UnknownExperiment
from dropviz.web import examples
from dropviz.web.arrays import KINDS
from dropviz.web.classroom import pooled
from dropviz.web.classroom.pooled import PooledReader
from dropviz.web.examples import Example
from dropviz.web.feed import Cursor, Feed
from dropviz.web.measured import LIVE_SECONDS
from dropviz.web.payload import BadRequest, NoArray
from dropviz.web.readers import Readers
from dropviz.web.senders import Pace

VIEW_ID = re.compile(r"[0-9a-f]{32}")
STEP = re.compile(r"[0-9]{1,9}")
LIVE_PACE = Pace(
    burst=2000, rate=200
)  # of a person: an open page asks once a second, and a class that sends no cookies is one person
ARRAYS_PACE = Pace(
    burst=1000, rate=40
)  # of a person: a page that shows every step of a run asks for about a hundred
YEAR = 31_536_000

logger = logging.getLogger(__name__)


def store() -> Store:
    """The store of this process's data directory, opened when first asked for."""
    return _open(settings.store_url())


def readers() -> Readers:
    """The readers over that store."""
    return _readers(settings.store_url())


@cache
def _open(url: str) -> Store:
    return Store.open(url, verify=False)


@cache
def _readers(url: str) -> Readers:
    return Readers(_open(url))


def answer(view_id: str, cursor_text: str, page: str = "") -> tuple[int, bytes]:
    """Status and JSON for one poll of a page, or of whatever there is; every refusal is one sentence."""

    def read() -> bytes:
        if page not in ("", *get_args(Page)):
            raise BadRequest(f"page = {page[:40]!r} is not possible: choose {' or '.join(get_args(Page))}.")
        cursor = Cursor.parse(cursor_text) if cursor_text else None
        return _source(view_id).read(cursor, cast("Page | None", page or None))

    return _guarded(view_id, read)


def pool(view_id: str) -> PooledReader:
    """The reader of a view of a class, which the routes use, too.

    Raises:
        UnknownClass: No class has this link.
    """
    return readers().pool(view_id)


def array_answer(view_id: str, kind: str, step: str) -> tuple[int, bytes, bool]:
    """Status and JSON ``{arm: array}`` of one kind at one step, and whether that can never change."""
    lasting = False

    def read() -> bytes:
        nonlocal lasting
        if kind not in KINDS or STEP.fullmatch(step) is None:
            asked = f"{kind[:40]!r} at step {step[:12]!r}"
            raise BadRequest(
                f"{asked} is not possible: ask for {', '.join(KINDS)} at a whole number of steps."
            )
        body, lasting = _source(view_id).arrays(kind, int(step))
        return body

    return *_guarded(view_id, read), lasting


def _source(view_id: str) -> Feed | Example:
    if view_id.startswith(examples.PREFIX):
        return examples.example(view_id)
    if not (VIEW_ID.fullmatch(view_id) or view_id.startswith(pooled.PREFIX)):
        raise BadRequest(f"{view_id[:40]!r} is not an experiment's id: use the link as it was given.")
    return readers().get(view_id)


def _guarded(view_id: str, read: Callable[[], bytes]) -> tuple[int, bytes]:
    try:
        return 200, read()
    except (UnknownExperiment, UnknownClass, NoArray) as error:
        return 404, _refusal(str(error))
    except BadRequest as error:
        return 400, _refusal(str(error))
    except StoreError as error:  # the engine's log has it
        return 503, _refusal(error.told)
    except Exception:
        logger.exception("live data failed", extra=logs.of(view=view_id))
        return 500, _refusal("The server could not read this experiment; it is in the server's log.")


async def live(request: Request) -> Response:
    """The route of what is new: reading the store happens in a thread."""
    if too_often := LIVE_PACE.refusal(request):
        return too_often
    query = request.query_params
    with LIVE_SECONDS.time():
        status, body = await run_sync(
            answer, request.path_params["view_id"], query.get("cursor", ""), query.get("page", "")
        )
    return Response(body, status, {"Cache-Control": "no-store"}, "application/json")


async def arrays(request: Request) -> Response:
    """The route of arrays at a step, which a browser keeps once they are complete."""
    if too_often := ARRAYS_PACE.refusal(request):
        return too_often
    status, body, lasting = await run_sync(
        array_answer, *(request.path_params[part] for part in ("view_id", "kind", "step"))
    )
    keep = f"private, max-age={YEAR}, immutable" if lasting else "no-store"
    return Response(body, status, {"Cache-Control": keep}, "application/json")


def _refusal(sentence: str) -> bytes:
    return json.dumps({"error": sentence}).encode()


route = Route("/live/{view_id}", live)
array_route = Route("/arrays/{view_id}/{kind}/{step}", arrays)
