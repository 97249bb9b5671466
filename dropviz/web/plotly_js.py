"""``/plotly.min.js``: the charts' library out of the installed plotly wheel, so that the page works offline."""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dropviz import settings

PATH = "/plotly.min.js"
YEAR = 31_536_000


def address() -> str:
    """Where the page gets it; the version makes it safe to keep for ever."""
    return f"{PATH}?v={settings.version_of('plotly')}"


async def serve(request: Request) -> Response:
    """The file, compressed once and kept."""
    compressed = "gzip" in request.headers.get("accept-encoding", "")
    body = await run_sync(_file, compressed)
    headers = {"Cache-Control": f"public, max-age={YEAR}, immutable", "Vary": "Accept-Encoding"}
    if compressed:
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, media_type="text/javascript")


@cache
def _file(compressed: bool) -> bytes:
    body = (resources.files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    return gzip.compress(body, 6) if compressed else body


route = Route(PATH, serve)
