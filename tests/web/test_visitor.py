"""The visitor's cookie: set once, with the page, where no script can read it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from streamlit.testing.v1 import AppTest

from dropviz.web.guard import Guard
from dropviz.web.visitor import COOKIE, VisitorCookie, known_visitor
from tests.web.loops import run_apart

ID = "0123456789abcdef" * 2


async def html(request: Request) -> Response:
    return HTMLResponse("<p>page</p>", headers={"x-mine": "kept"})


async def table(request: Request) -> Response:
    return JSONResponse({})


APP = Starlette(routes=[Route("/", html), Route("/live", table)], middleware=[Middleware(VisitorCookie)])


def cookies(answer: Any) -> list[str]:
    return [text for name, text in answer.headers if name == "set-cookie"]


def test_a_page_brings_the_cookie_with_all_its_flags(get) -> None:
    answer = get(APP, "/")
    (sent,) = cookies(answer)
    value, *flags = sent.split("; ")
    assert re.fullmatch(rf"{COOKIE}=[0-9a-f]{{32}}", value)
    assert set(flags) == {"Path=/", "Max-Age=31536000", "HttpOnly", "SameSite=Lax"}
    assert answer.header("x-mine") == "kept"
    assert answer.body == b"<p>page</p>"


def test_over_https_the_cookie_stays_there(get) -> None:
    guarded = Starlette(routes=APP.routes, middleware=[Middleware(Guard), Middleware(VisitorCookie)])
    (sent,) = cookies(get(guarded, "/", scheme="https"))
    assert sent.endswith("; Secure")


def test_every_browser_gets_an_id_of_its_own(get) -> None:
    assert len({cookies(get(APP, "/"))[0] for _ in range(20)}) == 20


def test_what_is_no_page_brings_no_cookie(get) -> None:
    assert cookies(get(APP, "/live")) == []
    assert cookies(get(APP, "/nowhere")) == []


@pytest.mark.parametrize("header", [f"{COOKIE}={ID}", f"theme=dark; {COOKIE}={ID}; other=1"])
def test_who_has_a_cookie_keeps_it(get, header: str) -> None:
    assert cookies(get(APP, "/", cookie=header)) == []
    assert known_visitor(header) == ID


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"{COOKIE}=",
        f"{COOKIE}={ID[:-1]}",
        f"{COOKIE}={ID}0",
        f"{COOKIE}={ID.upper()}",
        f"{COOKIE}=' OR 1=1",
        f"{COOKIE}={ID}%0a",
        f"another={ID}",
        "\x00\xff;;==",
    ],
)
def test_a_malformed_cookie_is_replaced(get, header: str) -> None:
    assert known_visitor(header) is None
    assert len(cookies(get(APP, "/", cookie=header))) == 1


@pytest.mark.parametrize(
    "neighbour", ['settings={"dark": true}', "a b=1", "list=[1,2]", 'x="unclosed', "naïve=1"]
)
def test_another_programs_odd_cookie_on_the_same_host_costs_nobody_their_id(get, neighbour: str) -> None:
    """Cookies are shared by all ports of localhost, and browsers send whatever was set there."""
    header = f"{neighbour}; {COOKIE}={ID}"
    assert known_visitor(header) == ID
    assert cookies(get(APP, "/", cookie=header)) == []


def test_connections_that_are_no_requests_pass_untouched() -> None:
    seen = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    async def nothing() -> dict[str, Any]:
        return {}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope: dict[str, Any] = {"type": "websocket", "headers": []}
    run_apart(VisitorCookie(inner), scope, nothing, send)
    assert seen == [(scope, nothing, send)]


def ask() -> None:
    import streamlit as st

    from dropviz.web.visitor import visitor

    st.text(visitor())


def test_the_visitor_of_a_session_is_the_one_of_its_cookie(cookies: dict[str, str], me: str) -> None:
    assert AppTest.from_function(ask).run().text[0].value == me


@pytest.mark.parametrize("sent", [None, "", "me", ID + "0"])
def test_without_a_proper_cookie_the_session_has_an_id_of_its_own(
    cookies: dict[str, str], sent: str | None
) -> None:
    cookies.clear()
    if sent is not None:
        cookies[COOKIE] = sent
    first, second = (AppTest.from_function(ask).run() for _ in range(2))
    mine = first.text[0].value
    assert re.fullmatch(r"[0-9a-f]{32}", mine)
    assert first.run().text[0].value == mine
    assert second.text[0].value != mine
