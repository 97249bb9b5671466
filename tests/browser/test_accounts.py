"""A server with accounts, and a provider that keeps to the protocol: in by its door, back to where a link led, and out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dropviz.web.login import owner_of
from tests.browser.provider import CLIENT, SECRET, Provider, providing
from tests.browser.served import Served, serving
from tests.browser.test_accessibility import grave, settled
from tests.browser.test_compare import submit
from tests.houses import free_port

Login = Callable[..., Page]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as running:
        yield running


@pytest.fixture(scope="module")
def accounts(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose secrets have a section [auth], as SECURITY.md has it."""
    home, port = tmp_path_factory.mktemp("accounts"), free_port()
    secrets = {
        "redirect_uri": f"http://127.0.0.1:{port}/oauth2callback",
        "cookie_secret": "at least 32 bytes, which nobody knows",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "server_metadata_url": f"{provider.url}/.well-known/openid-configuration",
    }
    (home / ".streamlit").mkdir()
    lines = ["[auth]", *(f'{name} = "{value}"' for name, value in secrets.items())]
    (home / ".streamlit" / "secrets.toml").write_text("\n".join(lines))
    with serving(home / "data", port, HOME=str(home)) as running:
        yield running


@pytest.fixture
def log_in(chromium: Browser, accounts: Served) -> Iterator[Login]:
    """A new browser in which somebody goes to an address and comes in as one of the provider's people."""
    contexts = []

    def come(who: str, path: str = "/lab") -> Page:
        contexts.append(chromium.new_context(viewport={"width": 1440, "height": 1000}))
        page = contexts[-1].new_page()
        page.goto(f"{accounts.url}{path}")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name=who).click()
        return page

    yield come
    for context in contexts:
        context.close()


def status(served: Served, path: str) -> int:
    """What a stranger without a browser is answered."""
    connection = HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    connection.close()
    return answer.status


def owner(provider: Provider, who: str) -> str:
    found = owner_of({"is_logged_in": True, "iss": provider.url, "sub": f"number of {who}"})
    assert found is not None
    return found


def test_who_is_not_logged_in_sees_the_door_and_nothing_else(page: Page, accounts: Served) -> None:
    view_id = submit(accounts, "somebody")
    page.goto(f"{accounts.url}/compare?runs={view_id}")
    expect(page.get_by_role("heading", name="Log in to go on")).to_be_visible()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    settled(page)
    expect(page.get_by_role("navigation", name="App pages")).to_have_count(0)
    expect(page.get_by_text("two-moons")).to_have_count(0)
    assert grave(page) == set()
    assert status(accounts, f"/live/{view_id}") == 401


def test_a_link_leads_where_it_says_after_the_login_and_the_account_is_the_same_in_every_browser(
    log_in: Login, accounts: Served, provider: Provider
) -> None:
    view_id = submit(accounts, owner(provider, "ada"))
    for _ in range(2):
        page = log_in("ada", f"/compare?runs={view_id}")
        page.wait_for_url(f"**/compare?runs={view_id}")
        sidebar = page.get_by_test_id("stSidebar")
        expect(sidebar.get_by_text("two-moons · mlp16 · p=.5 · steps=60 · lr=.3")).to_be_visible()
        shown = page.evaluate(f"fetch('/live/{view_id}').then((answer) => answer.status)")
        assert shown == 200
        names = {cookie["name"] for cookie in page.context.cookies(accounts.url)}
        assert "dropviz_wanted" not in names  # it was of use once
    other = log_in("bob", "/compare")
    other.wait_for_url("**/compare")
    expect(other.get_by_test_id("stSidebar").get_by_text("No runs yet")).to_be_visible()


def test_leaving_closes_the_door_in_this_browser_alone(log_in: Login) -> None:
    page, other = log_in("ada"), log_in("ada")
    for one in (page, other):
        expect(one.get_by_role("navigation", name="App pages")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    other.reload()
    expect(other.get_by_role("button", name="Log out")).to_be_visible()


def test_who_is_refused_by_the_provider_stands_before_the_door_again(log_in: Login, accounts: Served) -> None:
    page = log_in("nobody", "/paper")
    page.wait_for_url(f"{accounts.url}/paper")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    log = (Path(accounts.folder) / "serve.log").read_text(errors="replace")
    assert SECRET not in log
