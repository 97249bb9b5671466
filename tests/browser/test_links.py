"""Links to settings and results in a real browser: opened cold, gone back and forward between, copied."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.served import Served, serving

SETTINGS = "lab?preset=classroom&seeds=2&arms=none%2Cdropout&train.steps=60"


def seeds(page: Page) -> Locator:
    return page.get_by_role(
        "spinbutton", name="Seeds"
    ).first  # while it is drawn anew there are two for a moment


def change(field: Locator, value: str) -> None:
    field.fill(value)
    field.press("Enter")


def test_a_cold_link_opens_the_form_and_back_and_forward_go_between_its_changes(
    page: Page, tmp_path: Path
) -> None:
    with serving(tmp_path) as fresh:
        page.goto(f"{fresh.url}/{SETTINGS}&kept=1")
        expect(seeds(page)).to_have_value("2")
        expect(page.get_by_role("spinbutton", name="Steps")).to_have_value("60")
        change(seeds(page), "3")
        page.wait_for_url(re.compile(r"seeds=3"))
        assert "kept=1" in page.url
        change(seeds(page), "4")
        page.wait_for_url(re.compile(r"seeds=4"))
        page.wait_for_timeout(2500)
        page.go_back()
        expect(seeds(page)).to_have_value("3")
        page.go_back()
        expect(seeds(page)).to_have_value("2")
        page.go_forward()
        expect(seeds(page)).to_have_value("3")
        page.go_forward()
        expect(seeds(page)).to_have_value("4")
        assert "seeds=4" in page.url


def test_run_puts_the_run_into_the_url_and_back_is_the_form_again(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/{SETTINGS}")
    expect(seeds(page)).to_have_value("2")
    page.get_by_role("button", name=re.compile("^Run")).click()
    page.wait_for_url(re.compile(r"/lab\?run=[0-9a-f]{32}$"))
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", re.compile("done|cached"))
    page.wait_for_timeout(2500)  # the page does not yet believe what a browser says of its URL
    page.go_back()
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", "example")
    expect(seeds(page)).to_have_value("2")
    page.go_forward()
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", re.compile("done|cached"))


def test_typing_fast_loses_nothing(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/lab")
    expect(seeds(page)).to_have_value("8")
    for value in ("2", "3", "5", "7"):
        change(seeds(page), value)
        change(page.get_by_role("spinbutton", name="Steps"), f"{value}00")
    page.wait_for_url(re.compile(r"seeds=7.*train.steps=700"))
    expect(seeds(page)).to_have_value("7")
    expect(page.get_by_role("spinbutton", name="Steps")).to_have_value("700")


def test_a_bad_link_is_one_sentence_beside_a_page_that_works(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/lab?preset=classroom&p=7")
    expect(page.get_by_role("alert")).to_contain_text("p = 7 is not possible: it must be below 1.")
    expect(page.locator(".dv-headline")).to_be_visible()
    expect(seeds(page)).to_have_value("6")


def test_another_page_and_back_by_its_name_keeps_the_form(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/{SETTINGS}")
    change(seeds(page), "5")
    page.wait_for_url(re.compile(r"seeds=5"))
    page.get_by_test_id("stTopNavLink").filter(has_text="System").click()
    expect(page.get_by_text("Workers").first).to_be_visible()
    page.get_by_test_id("stTopNavLink").filter(has_text="Lab").click()
    expect(seeds(page)).to_have_value("5")
    page.wait_for_url(re.compile(r"seeds=5"))
