"""What stands before everything that is served: which names and origins are answered, and what a browser may do with a page."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dropviz import settings

LONGEST = 16_000  # bytes of an address with its query: four times a link to settings
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Of Streamlit's own, which nothing here needs; a server that is below a path has that before it.
CLOSED = ("/_stcore/metrics", "/_stcore/agent/")
FRAMED = ("lab", "curvature")  # the pages whose result Share offers for a frame
POLICY_VIOLATION = 1008
FIXED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # an address holds the id of a run
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


class Guard:
    """Refuses what comes by another name or from another origin, and sends the headers that bind a browser."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is not refused."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        status, refusal = _refusal(scope)
        if refusal and scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refusal[:120]})
        answer = PlainTextResponse(refusal, status) if refusal else self.app

        async def send_bound(message: Message) -> None:
            if message["type"] == "http.response.start":
                _bind(MutableHeaders(scope=message), scope)
            await send(message)

        await answer(scope, receive, send_bound if scope["type"] == "http" else send)


def known_host(host: str | None) -> bool:
    """Whether this server answers to a Host header.

    One that listens to this computer alone answers to the names of this computer alone, so that no page of elsewhere whose name
    was made to lead here can read it; ``DROPVIZ_HOSTS`` adds the names that a proxy passes on.
    """
    if host is None:  # no browser
        return True
    if HOST.fullmatch(host) is None:
        return False
    name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    named = settings.hosts()
    if named is None and st.get_option("server.address") not in LOOPBACK:
        return True
    return name in (*LOOPBACK, *(named or ())) or name.endswith(".localhost")


def known_origin(origin: str | None, host: str | None) -> bool:
    """Whether a connection may be opened from a page of this origin: of this server, to the port, or of one that is configured.

    Streamlit by itself would take any port of this computer, too, to which browsers send the same cookies.
    """
    if origin is None:  # no browser
        return True
    return urlsplit(origin).netloc == host or origin in st.get_option("server.corsAllowedOrigins")


def policy(host: str, *, embedded: bool) -> str:
    """The Content-Security-Policy of a page: everything from this server, and no script that is not.

    Args:
        host: By which the page was asked for; the websocket goes there.
        embedded: Whether it is a result for a frame in anybody's page. There it has no cookie, so it controls nothing.
    """
    parts = {
        "default-src": "'self'",
        "script-src": f"'self' blob: 'wasm-unsafe-eval' {' '.join(_inline_scripts())}",  # components are modules made of text; protobuf counts in wasm
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self' ws://{host} wss://{host}",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "*" if embedded else "'self'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in parts.items())


def _refusal(scope: Scope) -> tuple[int, str]:
    """What is answered in place of what was asked for, if it is refused."""
    headers = Headers(scope=scope)
    host = headers.get("host")
    if not known_host(host):
        return 421, (
            f"This server does not answer to {(host or '')[:80]!r}: open it as localhost where it runs, or name"
            " this one in DROPVIZ_HOSTS."
        )
    if scope["type"] == "websocket" and not known_origin(headers.get("origin"), host):
        return 403, "Connections from another site's pages are refused."
    if len(scope.get("raw_path") or scope["path"]) + len(scope.get("query_string", b"")) > LONGEST:
        return 414, f"This address has more than {LONGEST:,} characters: use the link as it was given."
    if any(part in scope["path"] for part in CLOSED):
        return 404, "There is nothing here."
    return 200, ""


def _bind(headers: MutableHeaders, scope: Scope) -> None:
    for name, value in FIXED.items():
        headers.setdefault(name, value)
    if headers.get("content-type", "").startswith("text/html") and "content-disposition" not in headers:
        host = Headers(scope=scope).get("host", "localhost")
        headers["Content-Security-Policy"] = policy(host, embedded=_is_framed_result(scope))
    if scope.get("scheme") == "https":
        _only_over_https(headers)


def _is_framed_result(scope: Scope) -> bool:
    """Whether a page is asked for as Share writes it for a frame in another page: one result, and nothing around it."""
    if scope["path"].rpartition("/")[2] not in FRAMED:
        return False
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))  # no longer than an address may be
    return "run" in asked and asked.get("embed", [""])[-1].lower() == "true"


def _only_over_https(headers: MutableHeaders) -> None:
    """Each cookie that is set over https stays there; behind a proxy that is what the server was told to believe."""
    cookies = headers.getlist("set-cookie")
    del headers["set-cookie"]
    for cookie in cookies:
        is_secure = any(part.strip().lower() == "secure" for part in cookie.split(";"))
        headers.append("set-cookie", cookie if is_secure else f"{cookie}; Secure")


@cache
def _inline_scripts() -> tuple[str, ...]:
    """The hashes of the scripts that stand in Streamlit's own page."""
    page = Path(st.__file__).with_name("static") / "index.html"
    return tuple(_hashes(page.read_text("utf-8")))


def _hashes(page: str) -> Iterator[str]:
    for script in INLINE.findall(page):
        digest = hashlib.sha256(script.encode()).digest()
        yield f"'sha256-{base64.b64encode(digest).decode()}'"
