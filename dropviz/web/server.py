"""What the web server has besides pages: routes, the visitor's cookie, the engine, and how errors are met."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import pandas  # noqa: F401 - before any thread: plotly takes it from sys.modules, where it may be half loaded
import streamlit as st
from anyio.to_thread import run_sync
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from dropviz import logs
from dropviz.engine import start_engine_if_none
from dropviz.memory import freeze_what_stays
from dropviz.store import StoreError
from dropviz.web import exports, live, metrics, plotly_js
from dropviz.web.guard import Guard
from dropviz.web.housekeeping import keep_house
from dropviz.web.login import AccountsOnly
from dropviz.web.uploading import UploadLimits
from dropviz.web.visitor import VisitorCookie

# How long a thread that draws a page keeps the interpreter to itself while a poll for live data waits: Python's own 5 ms are
# taken several times by each poll.
SWITCH_SECONDS = 0.001

logger = logging.getLogger(__name__)


def routes() -> list[Route]:
    """The live data, files to keep and the charts' library; Streamlit has a health check of its own at /_stcore/health."""
    return [
        live.route,
        live.array_route,
        exports.route,
        plotly_js.route,
        metrics.route,
        Route("/join/{code}", _to_the_class),
        Route("/", _to_the_lab),
    ]


def middleware() -> list[Middleware]:
    """Refuses what comes by another name or from elsewhere, needs an account, or is too much; gives every browser its anonymous id."""
    return [Middleware(Guard), Middleware(AccountsOnly), Middleware(UploadLimits), Middleware(VisitorCookie)]


async def _to_the_lab(request: Request) -> RedirectResponse:
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"lab{query}")


async def _to_the_class(request: Request) -> RedirectResponse:
    """The short link to a class: to its seat in the Lab, where a wrong one is said to be wrong."""
    return RedirectResponse("../lab?" + urlencode({"class": request.path_params["code"]}))


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Open the store and see to it that an engine serves it, for as long as the server runs."""
    logs.configure("page")
    logs.adopt()
    await run_sync(live.store)
    freeze_what_stays()
    sys.setswitchinterval(SWITCH_SECONDS)
    keeper = await run_sync(start_engine_if_none)
    house = asyncio.create_task(keep_house())
    try:
        yield
    finally:
        house.cancel()
        await run_sync(keeper.close)


def on_script_error(error: Exception) -> bool:
    """Meet an error in a page calmly: the traceback goes to the log, never to the visitor."""
    if isinstance(error, StoreError):  # said by the engine's log, once and not for each visitor
        st.error(error.told, icon=":material/error:")
        return True
    logger.error("a page failed", exc_info=error)
    st.error(
        "Something went wrong on this page. Reload it to go on; nothing that runs was touched."
        " The server's log has the details.",
        icon=":material/error:",
    )
    return True
