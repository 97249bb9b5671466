"""By a real server: what is answered to whom, and what a browser is told to do with it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import connect

from dropviz.web.guard import Guard
from tests.browser.served import Served
from tests.security.conftest import ask

PAGES = ("/lab", "/compare", "/what-if", "/curvature", "/lessons", "/paper", "/system", "/class")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_bound_to_this_server(served: Served, path: str) -> None:
    status, headers, _ = ask(served, path)
    assert status == 200
    rules = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert rules["default-src"] == "'self'"
    assert rules["object-src"] == "'none'"
    assert rules["frame-ancestors"] == "'self'"
    assert "unsafe-inline" not in rules["script-src"]
    assert "'unsafe-eval'" not in rules["script-src"]
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"
    assert "geolocation=()" in headers["permissions-policy"]
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("path", "by"),
    [
        ("/lab?run=1&embed=true", "*"),
        ("/curvature?run=1&embed=TRUE", "*"),
        ("/below/lab?embed=true&run=1", "*"),
        ("/lab?run=1", "'self'"),
        ("/lab?run=1&embed=false", "'self'"),
        ("/lab?run=1&embed=true&embed=false", "'self'"),
        ("/lab?run=1&x=embed=true", "'self'"),
        ("/lab?embed=true", "'self'"),
        ("/lab?run=&embed=true", "'self'"),
        ("/lab?class=1&embed=true", "'self'"),
        ("/lab/system?run=1&embed=true", "'self'"),
        (f"/lab?{'a=1&' * 300}", "'self'"),
        *((f"{page}?run=1&embed=true", "'self'") for page in PAGES if page not in ("/lab", "/curvature")),
    ],
)
def test_a_result_may_be_framed_anywhere_and_no_other_page_may(served: Served, path: str, by: str) -> None:
    status, headers, _ = ask(served, path)
    assert status == 200
    assert headers["content-security-policy"].rpartition("frame-ancestors ")[2] == by


@pytest.mark.parametrize(
    "path", ["/live/none", "/export/none/csv", "/join/none", "/_stcore/health", "/plotly.min.js"]
)
def test_data_and_files_are_not_for_other_sites(served: Served, path: str) -> None:
    _, headers, _ = ask(served, path, Origin="http://evil.example")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


def test_a_name_that_was_made_to_lead_here_is_not_answered(served: Served) -> None:
    for host in (
        "evil.example",
        f"evil.example:{served.port}",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "a b",
    ):
        status, _, text = ask(served, "/lab", Host=host)
        assert status == 421, host
        assert "DROPVIZ_HOSTS" in text
    for host in ("localhost", f"localhost:{served.port}", "LOCALHOST", "my.localhost", "[::1]:80"):
        assert ask(served, "/lab", Host=host)[0] == 200, host


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:1", "null", "http://127.0.0.1"])
def test_no_page_of_elsewhere_opens_a_connection(served: Served, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{served.port}/_stcore/stream", origin=origin, subprotocols=["streamlit"])  # type: ignore[list-item,arg-type]
    assert refused.value.response.status_code == 403


def test_the_servers_own_pages_do(served: Served) -> None:
    with connect(
        f"ws://127.0.0.1:{served.port}/_stcore/stream",
        origin=served.url,  # type: ignore[arg-type]
        subprotocols=["streamlit"],  # type: ignore[list-item]
    ) as opened:
        assert opened.subprotocol == "streamlit"


@pytest.mark.parametrize(
    ("size", "pieces"), [(1_000_001, 1), (1_000_000, 100)], ids=["one that is whole", "one that does not end"]
)
def test_a_message_is_no_longer_than_a_page_needs(served: Served, size: int, pieces: int) -> None:
    left, process = iter(range(pieces)), served.page_process()
    with connect(
        f"ws://127.0.0.1:{served.port}/_stcore/stream",
        subprotocols=["streamlit"],  # type: ignore[list-item]
    ) as opened:
        with suppress(ConnectionClosed):
            opened.send(bytes(size) for _ in left)
        with suppress(ConnectionClosed):
            while True:
                opened.recv(30)
        # Where the server closes with something unread the connection is reset, which may overtake the reason.
        assert opened.close_code in (CloseCode.MESSAGE_TOO_BIG, CloseCode.ABNORMAL_CLOSURE)
    assert pieces == 1 or len(list(left)) > 50, "it was refused before it was there"
    assert (served.healthy(), served.page_process()) == (True, process)


def test_nothing_is_uploaded_without_the_token_of_the_page(served: Served) -> None:
    path = "/_stcore/upload_file/some-session/some-file"
    for headers in (
        {},
        {"X_Xsrftoken": "forged"},
        {"Cookie": "_streamlit_xsrf=2|00|00|1", "X_Xsrftoken": "2|11|22|1"},
    ):
        assert ask(served, path, "PUT", b"content", **headers)[0] == 403  # type: ignore[arg-type]


def test_cookies_stay_where_scripts_and_other_sites_do_not_reach(served: Served) -> None:
    _, headers, _ = ask(served, "/lab")
    (cookie,) = headers.get_all("set-cookie") or []
    assert cookie.startswith("dropviz_visitor=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


def test_behind_a_proxy_that_speaks_https_every_cookie_is_secure(served: Served) -> None:
    for path in ("/lab", "/_stcore/health"):
        _, headers, _ = ask(served, path, X_Forwarded_Proto="https")  # from this computer, which is believed
        assert all("Secure" in cookie for cookie in headers.get_all("set-cookie") or [""])


def test_what_nobody_needs_is_closed(served: Served) -> None:
    for path in ("/_stcore/metrics", "/_stcore/agent/interact", "/_stcore/agent/openapi.json"):
        assert ask(served, path)[0] == 404, path
    assert ask(served, "/live/none", "POST", b"")[0] == 405
    status, _, text = ask(served, f"/live/{'0' * 32}?cursor={'a' * 20_000}")
    assert (status, "16,000" in text) == (414, True)


@pytest.mark.parametrize("below", ["", "/x", "/x/y"])
@pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/agent/interact", "/_stcore/agent/mcp"])
def test_it_is_closed_below_a_path_too(below: str, path: str) -> None:
    answer = Route("/{rest:path}", lambda request: PlainTextResponse("numbers"))
    app = TestClient(Guard(Starlette(routes=[answer])), base_url="http://localhost")
    assert app.get(f"{below}{path}").status_code == 404
    assert app.get(f"{below}/_stcore/health").text == "numbers"


def test_the_health_of_the_server_is_told_without_a_cookie_or_a_name(served: Served) -> None:
    status, _, text = ask(served, "/_stcore/health")
    assert (status, text) == (200, "ok")
