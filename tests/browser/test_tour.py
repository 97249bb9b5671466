"""The tour: it asks once, walks by mouse and keyboard, and is over when somebody says so."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.served import Served


@pytest.fixture
def lab(page: Page, served: Served) -> Page:
    page.goto(f"{served.url}/lab")
    expect(page.locator("[data-chart=ladder] .main-svg").first).to_be_visible()
    return page


def test_who_says_no_is_not_asked_again(lab: Page) -> None:
    lab.get_by_role("button", name="No, thanks").click()
    expect(lab.get_by_text("First time here?")).to_be_hidden()
    lab.reload()
    expect(lab.locator("[data-chart=ladder] .main-svg").first).to_be_visible()
    expect(lab.get_by_text("First time here?")).to_be_hidden()


def test_it_walks_by_keyboard_and_gives_the_focus_back(lab: Page) -> None:
    again = lab.locator(".st-key-tour_button button")
    again.click()
    stop = lab.get_by_role("dialog")
    expect(stop).to_have_accessible_name("The answer, in one sentence")
    expect(lab.locator(".dv-spot")).to_have_class("dv-headline dv-spot")
    lab.keyboard.press("ArrowRight")
    expect(stop).to_have_accessible_name("Where the gain comes from")
    lab.keyboard.press("ArrowLeft")
    expect(stop).to_have_accessible_name("The answer, in one sentence")
    lab.keyboard.press("Enter")  # the focus is on Next
    expect(stop).to_have_accessible_name("Where the gain comes from")
    lab.keyboard.press("Escape")
    expect(stop).to_be_hidden()
    expect(lab.locator(".dv-spot")).to_have_count(0)


def test_it_has_an_end(lab: Page) -> None:
    lab.locator(".dv-tour").get_by_role("button", name="Show me around").click()
    titles = []
    for _ in range(10):
        titles.append(lab.get_by_role("dialog").get_attribute("aria-label"))
        forward = lab.get_by_role("dialog").get_by_role("button", name="Next")
        if not forward.count():
            break
        forward.click()
    assert len(titles) == len(set(titles)) == 6
    lab.get_by_role("button", name="Done").click()
    expect(lab.get_by_role("dialog")).to_be_hidden()
