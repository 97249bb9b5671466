"""Accounts, where the server has them: Streamlit's own login by OpenID Connect, and the same for what is served beside its pages.

With a section ``[auth]`` in ``.streamlit/secrets.toml`` nothing is shown to somebody who is not logged in, and an account is what
the anonymous id of a browser is without it: the same in every browser. Streamlit signs its cookie; here it is only read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks, get_origin_from_redirect_uri
from streamlit.web.server.server_util import AUTH_COOKIE_NAME, get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

from dropviz.web import accounts
from dropviz.web.plain import plain

# What answers with somebody's numbers, or takes files; a server that is below a path has that before it.
CLOSED = ("/live/", "/arrays/", "/export/", "/_stcore/upload_file/")
WANTED = "dropviz_wanted"  # the cookie that keeps where a link led, while its reader logs in
WANTED_SECONDS, WANTED_CHARACTERS = 3600, 3800
QUERY = "%&=+/:@!$'()*~?[]"  # what stays as it is in a query, of what may stand in a cookie
NO_STORE = {"Cache-Control": "no-store"}
UNKNOWN = (
    "This server cannot read who may see its experiments, so it shows them to nobody. Whoever runs it finds the reason in its log;"
    " what runs goes on."
)


class AccountsOnly:
    """Answers the data routes, and takes files, by accounts alone, where there are accounts, and brings back who had to log in on the way."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what needs no account, or has one."""
        state = accounts.state()
        if scope["type"] != "http" or state == "none":
            return await self.app(scope, receive, send)
        closed = any(part in scope["path"] for part in CLOSED)
        if closed and state == "unknown":
            return await JSONResponse({"error": UNKNOWN}, 503, NO_STORE)(scope, receive, send)
        cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
        known = state == "on" and account(cookies) is not None
        if closed and not known:
            text = "Log in first: this server shows its runs to accounts alone."
            return await JSONResponse({"error": text}, 401, NO_STORE)(scope, receive, send)
        # Where a login leads back to. An address with a query comes from a link.
        front = scope["path"] == "/" and not scope.get("query_string")
        if front and WANTED in cookies:
            return await _back(cookies[WANTED], known)(scope, receive, send)
        remembered = not known and scope["path"] != "/" and _is_visit(scope)
        await self.app(scope, receive, _remembering(scope, send) if remembered else send)


def _is_visit(scope: Scope) -> bool:
    """Whether somebody opens a page. Streamlit answers whatever else a browser looks for with its page, too: icons, source maps."""
    kind = Headers(scope=scope).get("sec-fetch-dest", "document")
    return kind == "document" and "." not in scope["path"]


def _back(wanted: str, known: bool) -> RedirectResponse:
    """To what somebody had asked for, or to the door before it: an address of this server, whatever the cookie says."""
    local = re.fullmatch(r"/[A-Za-z0-9][!-~]*", wanted)
    answer = RedirectResponse(wanted if local else "/lab", 302, NO_STORE)
    if known:
        answer.delete_cookie(WANTED, httponly=True, samesite="lax")
    return answer


def _remembering(scope: Scope, send: Send) -> Send:
    """Let a page that nobody sees before a login leave its address in the browser; none where it is too long for that."""
    query = quote(scope.get("query_string", b"").decode("latin-1"), safe=QUERY)
    wanted = quote(scope["path"]) + (f"?{query}" if query else "")
    kept = f"{wanted}; Max-Age={WANTED_SECONDS}" if len(wanted) <= WANTED_CHARACTERS else "; Max-Age=0"

    async def send_with_cookie(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            headers = MutableHeaders(scope=message)
            if headers.get("content-type", "").startswith("text/html"):
                headers.append("set-cookie", f"{WANTED}={kept}; Path=/; HttpOnly; SameSite=Lax")
        await send(message)

    return send_with_cookie


def required() -> bool:
    """Whether this server is for accounts alone; also where nobody can tell, and then it is for nobody."""
    return accounts.state() != "none"


def account(cookies: Mapping[str, str]) -> str | None:
    """The owner that a request's cookies stand for, if Streamlit's login signed them for this server."""

    def signed(name: str) -> bytes | None:
        text = cookies.get(name)
        return decode_signed_value(get_cookie_secret(), name, text.encode("latin-1")) if text else None

    try:
        found = json.loads(get_cookie_with_chunks(signed, AUTH_COOKIE_NAME) or b"null")
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("origin") != get_origin_from_redirect_uri():
        return None
    return owner_of(found)


def owner_of(user: Mapping[str, Any]) -> str | None:
    """The owner's id of a logged-in account: of its issuer and subject, which never change, a hash.

    Nobody can send it in place of a login: where there are accounts, the cookie of a browser counts for nothing.
    """
    if not user.get("is_logged_in") or not user.get("sub"):
        return None
    name = json.dumps([str(user.get("iss", "")), str(user["sub"])])
    return hashlib.sha256(f"dropviz account {name}".encode()).hexdigest()[:32]


def current() -> str | None:
    """The owner's id of whoever looks at this page; of nobody, where it cannot be told who may."""
    if accounts.state() == "unknown":
        return None
    return owner_of(st.user.to_dict())


def door() -> None:
    """What somebody sees who is not logged in, or whom nobody can let in."""
    if accounts.state() == "unknown":
        st.header("Nothing is shown at the moment")
        st.write(UNKNOWN)
        return
    st.header("Log in to go on")
    st.write(
        "This server shows its experiments to people with an account. A link to one leads there after the login."
    )
    st.button("Log in", type="primary", icon=":material/login:", on_click=st.login, key="log_in")


def way_out() -> None:
    """Who is logged in, and a button to log out, at the end of the sidebar."""
    with st.sidebar:
        name = str(st.user.get("email") or st.user.get("name") or "")
        st.button(
            "Log out",
            type="tertiary",
            icon=":material/logout:",
            on_click=st.logout,
            key="log_out",
            help=None if not name else f"Logged in as {plain(name)}",
        )
