"""Every page is scanned by axe, light and dark, on a desk and on a phone; and what axe cannot see of the charts."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from dropviz.web.shown import PAGES
from tests.browser.served import Served, until

ADDRESSES = [
    file.stem.partition("_")[2].replace("_", "-").lower() for file in sorted(PAGES.glob("[0-9]*.py"))
]
GRAVE = ("serious", "critical")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 1000}


def settled(page: Page) -> None:
    """Wait until the page's script has run and its charts are drawn with their numbers."""
    expect(page.locator("h1, h2").filter(visible=True).first).not_to_have_text("Loading …", timeout=60_000)
    expect(page.locator("[data-testid=stApp]")).to_have_attribute("data-test-script-state", "notRunning")
    until(
        page,
        """() => [...document.querySelectorAll('.dv-plot')].every(plot => plot.clientWidth === 0
            || plot.closest('.dv-unmeasured') || plot.querySelector('.main-svg'))
            && [...document.querySelectorAll('.dv-empty')].every(note => note.hidden || note.textContent !== 'loading')""",
    )


def grave(page: Page) -> set[tuple[str, str]]:
    """What axe calls serious or critical: rule and element."""
    found = Axe().run(page).response["violations"]
    return {
        (one["id"], node["html"][:200]) for one in found if one["impact"] in GRAVE for node in one["nodes"]
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_axe_finds_nothing_serious(
    chromium: Browser, served: Served, address: str, size: dict[str, int], scheme: str
) -> None:
    context = chromium.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{served.url}/{address}")
    settled(page)
    found = grave(page)
    if found:
        page.wait_for_timeout(700)  # what a page draws anew every few seconds is faint for a moment
        found &= grave(page)
    wide = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    context.close()
    assert found == set()
    assert wide <= 0, f"the page is {wide} pixels wider than the screen"


@pytest.mark.parametrize("address", ["lab", "curvature"])
def test_each_chart_says_what_it_shows_and_has_a_table(page: Page, served: Served, address: str) -> None:
    page.goto(f"{served.url}/{address}")
    settled(page)
    cards = page.locator(".dv-card[data-chart]:visible")
    assert cards.count() >= 6
    for card in cards.all():
        name = card.get_attribute("data-chart")
        assert card.get_by_role("img").first.get_attribute("aria-label"), name
        button = card.get_by_role("button", name="Table of")
        button.press("Enter")
        expect(button).to_have_attribute("aria-expanded", "true")
        assert card.locator(".dv-table tr").count() >= 2, name
        assert len(card.locator(".dv-table thead th").all()) >= 2, name
        button.press("Enter")
        expect(card.locator(".dv-table")).to_be_hidden()


def test_nothing_moves_for_who_asked_for_that(chromium: Browser, served: Served) -> None:
    context = chromium.new_context(viewport=DESK, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{served.url}/curvature")
    settled(page)
    moving = "() => [...document.querySelectorAll('.dropviz *')].filter(node => { const style = getComputedStyle(node); return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0; }).length"
    assert page.evaluate(moving) == 0
    expect(page.get_by_role("button", name="Play")).to_have_count(0)
    context.close()
