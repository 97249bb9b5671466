"""Where a server has accounts, its data are for them alone, and nobody becomes one by what they send."""

from __future__ import annotations

import json

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.runtime.secrets import secrets_singleton  # noqa: TID251
from streamlit.web.server.server_util import AUTH_COOKIE_NAME  # noqa: TID251
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value  # noqa: TID251

from dropviz.web import login
from dropviz.web.accounts import Watch

SECRET = "a secret of this test, long enough to sign with"
ORIGIN = "https://dropviz.example"
USER = {
    "is_logged_in": True,
    "origin": ORIGIN,
    "provider": "default",
    "iss": "https://id.example",
    "sub": "1234",
}
AUTH = {"redirect_uri": f"{ORIGIN}/oauth2callback", "cookie_secret": SECRET}


@pytest.fixture(autouse=True)
def _looked_up_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether there are accounts is remembered, and that there were."""
    monkeypatch.setattr("dropviz.web.accounts.watch", Watch())


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets with a section [auth]."""
    monkeypatch.setattr(secrets_singleton, "_secrets", {"auth": AUTH})


def signed(user: dict[str, object], secret: str = SECRET, name: str = AUTH_COOKIE_NAME) -> dict[str, str]:
    return {AUTH_COOKIE_NAME: create_signed_value(secret, name, json.dumps(user)).decode()}


def client() -> TestClient:
    answer = Route("/{rest:path}", lambda request: PlainTextResponse("numbers"))
    app = Starlette(routes=[answer])
    return TestClient(login.AccountsOnly(app), base_url="http://localhost")


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    "path",
    [
        "/live/x",
        "/arrays/x/slice/1",
        "/export/x/csv",
        "/below/_stcore/upload_file/s/f",
        "/_stcore/upload_file/session/file",
    ],
)
def test_the_data_routes_want_the_account_that_the_page_wants(path: str) -> None:
    refused = client().get(path)
    assert (refused.status_code, refused.json()["error"][:12]) == (401, "Log in first")
    assert client().get(path, headers={"Cookie": _header(signed(USER))}).text == "numbers"
    assert client().get("/plotly.min.js").text == "numbers"


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    "cookies",
    [
        {},
        {"dropviz_visitor": login.owner_of(USER) or ""},
        {AUTH_COOKIE_NAME: json.dumps(USER)},
        {AUTH_COOKIE_NAME: "a.b.c"},
        signed(USER, secret="another secret, which somebody guessed"),
        signed(USER, name="_streamlit_user_tokens"),
        signed(USER | {"origin": "https://elsewhere.example"}),
        signed(USER | {"is_logged_in": False}),
        signed({"is_logged_in": True, "origin": ORIGIN}),
    ],
)
def test_nothing_else_is_an_account(cookies: dict[str, str]) -> None:
    assert login.account(cookies) is None
    assert client().get("/live/x", headers={"Cookie": _header(cookies)}).status_code == 401


@pytest.mark.usefixtures("accounts")
def test_an_account_is_the_same_in_every_browser_and_tells_nobody_who_it_is() -> None:
    first = login.account(signed(USER | {"email": "a@example.org"}))
    assert first == login.account(signed(USER | {"name": "another"})) == login.owner_of(USER)
    assert first is not None
    assert len(first) == 32
    assert first != login.owner_of(USER | {"iss": "https://other.example"})
    assert first != login.owner_of(USER | {"sub": "12345"})


def left_by(path: str, user: dict[str, object] | None = None) -> tuple[int, str, str]:
    """Of a page's answer: its status, where it sends a browser, and the cookie that it leaves there."""
    page = Route("/{rest:path}", lambda request: HTMLResponse("<p>page</p>"))
    app = TestClient(login.AccountsOnly(Starlette(routes=[page])), base_url="http://localhost")
    answer = app.get(path, headers={"Cookie": _header(signed(user))} if user else {}, follow_redirects=False)
    return answer.status_code, answer.headers.get("location", ""), answer.headers.get("set-cookie", "")


@pytest.mark.usefixtures("accounts")
def test_where_a_link_led_is_kept_through_the_login_and_used_once() -> None:
    status, _, cookie = left_by("/lab?class=ab%26c%20d&arms=none,dropout")
    wanted = "/lab?class=ab%26c%20d&arms=none%2Cdropout"
    assert (status, cookie.partition(";")[0]) == (200, f"dropviz_wanted={wanted}")
    assert "HttpOnly" in cookie
    assert left_by("/lab?class=1", USER)[2] == ""
    assert back(wanted) == (wanted, True)
    assert back("/lab", user=None) == ("/lab", False)


@pytest.mark.usefixtures("accounts")
def test_a_link_too_long_to_keep_leaves_no_older_one() -> None:
    cookie = left_by(f"/lab?long={'x' * login.WANTED_CHARACTERS}")[2]
    assert cookie.startswith("dropviz_wanted=; Max-Age=0")


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/favicon.ico", ""),
        ("/.well-known/x.json", "empty"),
        ("/lab", "image"),
        ("/lab", "iframe"),
        ("/", ""),
    ],
)
def test_what_a_browser_looks_for_by_itself_is_no_visit(path: str, kind: str) -> None:
    page = Route("/{rest:path}", lambda request: HTMLResponse("<p>page</p>"))
    app = TestClient(login.AccountsOnly(Starlette(routes=[page])), base_url="http://localhost")
    assert "set-cookie" not in app.get(path, headers={"Sec-Fetch-Dest": kind} if kind else {}).headers


@pytest.mark.usefixtures("accounts")
def test_a_link_to_the_front_is_no_way_back() -> None:
    header = {"Cookie": _header(signed(USER) | {login.WANTED: "/paper"})}
    assert client().get("/?run=1", headers=header, follow_redirects=False).text == "numbers"


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    "wanted",
    [
        "https://elsewhere.example/",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "%2F%2Felsewhere.example",
        "/",
        "/?x",
        "/a%0d%0aX: y",
        "",
    ],
)
def test_a_cookie_leads_nobody_to_another_server(wanted: str) -> None:
    assert back(wanted) == ("/lab", True)


def back(wanted: str, user: dict[str, object] | None = USER) -> tuple[str, bool]:
    """Where the address without a page sends somebody with this cookie, and whether the cookie is gone then."""
    cookies = _header((signed(user) if user else {}) | {login.WANTED: wanted})
    answer = client().get("/", headers={"Cookie": cookies}, follow_redirects=False)
    assert answer.status_code == 302
    return answer.headers["location"], "Max-Age=0" in answer.headers.get("set-cookie", "")


def test_without_accounts_nothing_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets_singleton, "_secrets", {"other": "one"})
    assert not login.required()
    assert client().get("/live/x").text == "numbers"


def _header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={text}" for name, text in cookies.items())
