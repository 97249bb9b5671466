"""The System page in a real browser: what runs is there, and stopped from there."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.served import Served
from tests.browser.test_lab import start_long_run, state


def test_a_run_is_seen_in_the_queue_and_stopped_there(page: Page, other_page: Page, served: Served) -> None:
    view_id = start_long_run(page, served, 900)
    state(page, "running")
    page.goto(f"{served.url}/system")
    jobs = page.get_by_role("table", name="Jobs that run, wait or are paused")
    expect(jobs).to_contain_text("running")
    other_page.goto(f"{served.url}/system")
    expect(other_page.get_by_text("1 job runs")).to_be_visible()
    expect(other_page.get_by_role("button", name="Stop")).to_have_count(0)
    page.locator(f".st-key-stop-{view_id}").get_by_role("button", name="Stop").click()
    served.wait_until(lambda: served.store.experiment(view_id).state == "stopped", "it is stopped")
    expect(page.get_by_text("Nothing runs or waits.")).to_be_visible()
