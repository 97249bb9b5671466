"""Who is looking: an anonymous id per browser, in a cookie that scripts cannot read and URLs never carry."""

from __future__ import annotations

import re
import secrets

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dropviz.web import login

COOKIE = "dropviz_visitor"
YEAR = 31_536_000
VISITOR = re.compile(r"[0-9a-f]{32}")


class VisitorCookie:
    """Sets the cookie with the page itself, so that it is there when the page opens its connection.

    Over https ``Guard`` makes it a ``Secure`` one, like all others.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything through; add the cookie to a page that is sent to a browser without one."""
        if scope["type"] != "http" or known_visitor(Headers(scope=scope).get("cookie", "")):
            return await self.app(scope, receive, send)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    value = (
                        f"{COOKIE}={secrets.token_hex(16)}; Path=/; Max-Age={YEAR}; HttpOnly; SameSite=Lax"
                    )
                    headers.append("set-cookie", value)
            await send(message)

        await self.app(scope, receive, send_with_cookie)


def known_visitor(header: str) -> str | None:
    """The visitor's id in a Cookie header, if there is a well-formed one."""
    value = cookie_parser(header).get(COOKIE, "")
    return value if VISITOR.fullmatch(value) else None


def visitor() -> str:
    """The id of the account, else of the browser that this session belongs to; of the session alone where cookies are refused."""
    if login.required():
        return login.current() or st.session_state.setdefault("visitor", secrets.token_hex(16))
    found = st.context.cookies.get(COOKIE, "")
    if VISITOR.fullmatch(found):
        return found
    return st.session_state.setdefault("visitor", secrets.token_hex(16))
