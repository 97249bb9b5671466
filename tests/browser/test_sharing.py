"""What is shared shows the same numbers to somebody who was never here; what is kept does, too, here and elsewhere."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from dropviz.experiment import preset
from tests.browser.served import Served, until
from tests.browser.test_accessibility import grave

RUN = ["data=two-moons", "arms=none,dropout,dropout-8", "seeds=3", "train.steps=60", "model.widths=16"]
RUN += ["observe.refreshes=2", "observe.statistics=3"]
LADDER = (
    "document.querySelector('[data-chart=ladder] .dv-plot').data.map(trace => [trace.name, trace.x ?? null])"
)
CURVES = "document.querySelector('[data-chart=loss] .dv-plot').data.map(trace => [trace.name, trace.x ?? null, trace.y ?? null])"


@pytest.fixture(scope="module")
def view_id(served: Served) -> str:
    """An experiment that has ended."""
    found = served.store.submit(preset("classroom").with_settings(RUN))
    served.wait_until(lambda: served.store.experiment(found).state == "done", "it has trained", 240)
    return found


def shown(page: Page) -> dict[str, Any]:
    """What a visitor reads: the sentence, and the numbers of the ladder and of a chart."""
    until(page, f"{LADDER}.some(([, x]) => x?.length > 1)")
    until(page, f"{CURVES}.some(([, x]) => x?.length > 1)")
    return {"ladder": page.evaluate(LADDER), "curves": page.evaluate(CURVES)}


def opened(page: Page, served: Served, view_id: str) -> None:
    page.goto(f"{served.url}/lab?run={view_id}")
    expect(page.locator(".dropviz[data-state]").first).to_have_attribute(
        "data-state", re.compile("done|cached")
    )
    expect(page.locator(".dv-headline")).to_contain_text("paired seeds can show")


def popover(page: Page, name: str) -> Locator:
    page.get_by_test_id("stPopover").get_by_role("button", name=name).click()
    body = page.get_by_test_id("stPopoverBody")
    expect(body).to_be_visible()
    return body


def test_a_link_opened_by_somebody_else_shows_the_same_numbers(
    page: Page, other_page: Page, served: Served, view_id: str
) -> None:
    opened(page, served, view_id)
    box = popover(page, "Share").get_by_role("textbox", name="This result")
    other_page.goto(box.input_value())
    expect(other_page.locator(".dv-headline")).to_have_text(page.locator(".dv-headline").inner_text())
    assert shown(other_page) == shown(page)


def test_a_link_is_copied_by_keyboard_alone(page: Page, served: Served, view_id: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened(page, served, view_id)
    page.get_by_test_id("stPopover").get_by_role("button", name="Share").press("Enter")
    button = page.get_by_role("button", name="Copy: These settings")
    expect(button).to_be_visible()
    for _ in range(8):
        if button.evaluate("node => node === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stPopoverBody").get_by_text("Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{served.url}/lab?preset=classroom&")
    page.goto(link)
    expect(page.get_by_role("spinbutton", name="Steps")).to_have_value("60")


def test_embedded_there_is_the_result_and_nothing_to_press_beside_it(
    page: Page, served: Served, view_id: str
) -> None:
    page.goto(f"{served.url}/lab?run={view_id}&embed=true")
    expect(page.locator(".dv-headline")).to_contain_text("paired seeds can show")
    expect(page.get_by_role("button", name=re.compile("^Run"))).to_have_count(0)
    expect(page.get_by_test_id("stTopNavLink")).to_have_count(0)


def downloaded(page: Page, name: str, folder: Path) -> Path:
    with page.expect_download(timeout=90_000) as started:
        popover(page, "Keep").get_by_role("link", name=re.compile(f"^{name}")).click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    page.keyboard.press("Escape")
    return path


def test_csv_is_every_point_of_the_store(page: Page, served: Served, view_id: str, tmp_path: Path) -> None:
    opened(page, served, view_id)
    rows = list(csv.DictReader(downloaded(page, "CSV", tmp_path).open()))
    experiment = served.store.experiment(view_id)
    assert len(rows) == sum(len(served.store.points(job.id)) * len(job.seeds) for job in experiment.jobs)


@pytest.fixture
def offline(chromium: Browser) -> Iterator[Page]:
    """A dark browser without a network."""
    context = chromium.new_context(offline=True, color_scheme="dark", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request",
        lambda request: (
            errors.append(request.url) if not request.url.startswith(("file:", "data:")) else None
        ),
    )
    yield page
    context.close()
    assert errors == []


def test_a_report_opened_from_disk_without_a_network_shows_the_same_numbers(
    page: Page, offline: Page, served: Served, view_id: str, tmp_path: Path
) -> None:
    opened(page, served, view_id)
    path = downloaded(page, "Report", tmp_path)
    offline.goto(f"file://{path}")
    expect(offline.locator("h1")).to_have_text(page.locator(".dv-headline").inner_text())
    assert shown(offline) == shown(page)
    assert offline.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"
    offline.emulate_media(color_scheme="light")
    until(offline, "getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'")
    for board in ("#lab", "#curvature"):
        cards = offline.locator(f"{board} .dv-card:visible")
        assert cards.count() >= 5
        expect(offline.locator(f"{board} .dv-card:visible .dv-tools button", has_text="table")).to_have_count(
            cards.count()
        )
    scrubber = offline.get_by_role("slider", name="Step that every panel shows")
    scrubber.focus()
    scrubber.press("Home")
    until(offline, "document.querySelector('#curvature .dv-now').textContent.startsWith('step 0')")


def test_an_exported_run_opened_by_somebody_else_is_the_same_run(
    page: Page, other_page: Page, served: Served, view_id: str, tmp_path: Path
) -> None:
    opened(page, served, view_id)
    path = downloaded(page, "Everything", tmp_path)
    other_page.goto(f"{served.url}/lab")
    expect(other_page.locator(".dv-headline")).to_be_visible()
    popover(other_page, "Keep")
    other_page.locator("input[type=file]").last.set_input_files(path)
    other_page.wait_for_url(re.compile("run=[0-9a-f]{32}"))
    assert view_id not in other_page.url
    expect(other_page.locator(".dv-status")).to_contain_text("Imported: computed elsewhere")
    expect(other_page.locator(".dv-headline")).to_have_text(page.locator(".dv-headline").inner_text())
    assert shown(other_page) == shown(page)
    other = other_page.url.partition("run=")[2][:32]
    url = f"{served.url}/live/{{}}?page=curvature"
    one, two = (json.loads(page.request.get(url.format(run)).text()) for run in (view_id, other))
    assert sorted(one["arrays"]) == sorted(two["arrays"])
    assert sorted(map(json.dumps, one["rows"])) == sorted(map(json.dumps, two["rows"]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_what_opens(
    page: Page, served: Served, view_id: str, scheme: Any
) -> None:
    page.emulate_media(color_scheme=scheme)
    opened(page, served, view_id)
    for name in ("Share", "Keep"):
        expect(popover(page, name).locator(".dv-links")).to_be_visible()
        page.wait_for_timeout(700)
        assert grave(page) == set()
        page.keyboard.press("Escape")
