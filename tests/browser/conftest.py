"""One server and one browser for all tests of this folder; a visitor of its own for each."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright
from sqlalchemy import update

from dropviz.store.schema import experiments
from tests.browser.served import CHROMIUM, Served, launch, serving

FAILED = pytest.StashKey[bool]()
SHOWN = """[...document.querySelectorAll('.dv-plot, [role=alert], [role=status], .dv-problem')]
    .map((node) => node.getAttribute('aria-label') || node.textContent).filter(Boolean)"""

expect.set_options(timeout=30_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them all, and skip them with a reason where no browser is."""
    for item in items:
        if "browser" in Path(item.path).parts:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                reason = "no Chromium here: apt-get install chromium brings one"
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that most tests share."""
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def unshared(served: Served) -> Iterator[None]:
    """What is shared in the test is in nobody else's list after it."""
    yield
    with served.store.database.write() as connection:
        connection.execute(update(experiments).values(shared=False))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser process."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know, when they end, whether their test has failed, or what it was to begin with."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab of a visitor who was never here; an uncaught error in it fails the test, whose failure says what was on it."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    opened = context.new_page()
    errors: list[str] = []
    said: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    yield opened
    if request.node.stash.get(FAILED, False):
        print("console:", said[-20:])
        with suppress(Error):  # it may be gone, or on its way elsewhere
            print("charts and alerts:", opened.evaluate(SHOWN))
    context.close()
    assert errors == []


@pytest.fixture
def other_page(chromium: Browser) -> Iterator[Page]:
    """A tab of another visitor."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    yield context.new_page()
    context.close()
