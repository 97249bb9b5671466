"""What-if in a real browser, with the real engine: a tiny sweep that fills, stops, resumes, is widened, and its link."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dropviz.experiment import preset
from dropviz.sweeps import Axis, Sweep
from tests.browser.served import Served, until

SETTINGS = ['arms=["none", "dropout"]', "seeds=3", "train.steps=20", "model.widths=[4]"]
SETTINGS += ["observe.evaluations=1", "observe.statistics=1"]
SLOW = ["train.steps=900000", "observe.evaluations=1000", "observe.statistics=0"]


def sweep(
    first_seed: int, p: tuple[float, ...], *, more: tuple[str, ...] = (), depth: tuple[int, ...] = ()
) -> Sweep:
    """Of seeds of its own, so that no other test has computed it."""
    base = preset("classroom").with_settings([*SETTINGS, *more, f"first_seed={first_seed}"])
    axes = [Axis(key="p", values=p), *([Axis(key="depth", values=depth)] if depth else [])]
    return Sweep(base=base, axes=axes)


def owner(page: Page, served: Served) -> str:
    """The id that the server gave this browser."""
    page.goto(f"{served.url}/what-if")
    (found,) = [one["value"] for one in page.context.cookies() if one["name"] == "dropviz_visitor"]
    return str(found)


def map_of(page: Page) -> dict[str, Any]:
    script = """() => { const [map] = document.querySelector('.dv-plot').data; return {z: map.z, text: map.text}; }"""
    found: dict[str, Any] = page.evaluate(script)
    return found


@pytest.fixture
def opened(page: Page, served: Served) -> Any:
    def go(asked: Sweep, show: str = "gain") -> str:
        sweep_id = served.store.sweeps.submit(asked, owner(page, served))
        page.goto(f"{served.url}/what-if?sweep={sweep_id}&show={show}")
        return sweep_id

    return go


def test_a_form_starts_a_sweep_whose_map_fills_and_holds_still(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/what-if")
    values = page.get_by_role("textbox", name="Values of Drop probability p")
    values.fill("0.2, 0.8")
    values.press("Enter")
    page.get_by_role("textbox", name="Values of Width").fill("4, 8")
    page.get_by_role("textbox", name="Values of Width").press("Enter")
    for label, number in (("Seeds", "3"), ("Steps", "30")):
        page.get_by_role("spinbutton", name=label).fill(number)
        page.get_by_role("spinbutton", name=label).press("Enter")
    expect(page.get_by_text("4 cells × 6 arms × 3 seeds × 30 steps").first).to_be_visible()
    page.get_by_role("button", name="Run", exact=False).first.click()
    expect(page).to_have_url(re.compile(r"what-if\?sweep=[0-9a-f]{32}"))
    expect(page.locator(".dv-plot .main-svg").first).to_be_visible()
    page.evaluate("() => { window.node = document.querySelector('.dv-plot'); }")
    expect(page.get_by_text("Done: 4 of 4 cells")).to_be_visible(timeout=120_000)
    assert page.evaluate("() => window.node === document.querySelector('.dv-plot')")
    until(page, "() => document.querySelector('.dv-plot').data[0].z.flat().every(Number.isFinite)")


def test_a_link_shows_the_same_numbers_to_a_stranger(
    page: Page, other_page: Page, served: Served, opened
) -> None:
    opened(sweep(1000, (0.2, 0.8), depth=(1, 2)))
    expect(page.get_by_text("Done: 4 of 4 cells")).to_be_visible(timeout=120_000)
    until(page, "() => document.querySelector('.dv-plot').data[0].z.flat().every(Number.isFinite)")
    other_page.goto(page.url)
    expect(other_page.get_by_text("Done: 4 of 4 cells")).to_be_visible()
    expect(other_page.locator(".dv-plot .main-svg").first).to_be_visible()
    assert map_of(other_page) == map_of(page)
    expect(other_page.get_by_text("somebody else's sweep")).to_be_visible()
    expect(other_page.get_by_role("button", name="Delete")).to_have_count(0)


def test_stop_keeps_what_is_there_and_widening_computes_the_rest(page: Page, served: Served, opened) -> None:
    quick = sweep(2000, (0.2, 0.8))
    opened(quick)
    expect(page.get_by_text("Done: 2 of 2 cells")).to_be_visible(timeout=120_000)
    values = page.get_by_role("textbox", name="Values of Drop probability p")
    values.fill("0.2, 0.5, 0.8")
    values.press("Enter")
    expect(page.get_by_text("3 cells × 2 arms").first).to_be_visible()
    page.get_by_role("button", name="Run", exact=False).first.click()
    expect(page.get_by_text("Done: 3 of 3 cells · 2 from cache")).to_be_visible(timeout=120_000)
    opened(sweep(3000, (0.2, 0.8), more=tuple(SLOW)))
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped: 0 of 2 cells are there. What was computed is kept")).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    served.wait_until(lambda: not served.store.live_jobs(), "nothing runs any more")


def test_a_click_on_a_cell_opens_its_run(page: Page, served: Served, opened) -> None:
    sweep_id = opened(sweep(4000, (0.2, 0.8), depth=(1, 2)))
    expect(page.get_by_text("Done: 4 of 4 cells")).to_be_visible(timeout=120_000)
    until(page, "() => document.querySelector('.dv-plot').data[0].z.flat().every(Number.isFinite)")
    place = page.locator(".dv-plot .nsewdrag").first.bounding_box()
    assert place is not None
    page.mouse.click(place["x"] + place["width"] / 4, place["y"] + place["height"] / 4)  # p = 0.2, depth = 2
    run = served.store.sweeps.states(sweep_id)[1].experiment
    expect(page).to_have_url(f"{served.url}/lab?run={run}")


def test_a_finished_sweep_has_no_timer(page: Page, served: Served, opened) -> None:
    frames: list[object] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
    opened(sweep(5000, (0.2, 0.8)))
    expect(page.get_by_text("Done: 2 of 2 cells")).to_be_visible(timeout=120_000)
    page.wait_for_timeout(3000)  # for the last pass of the timer that was
    frames.clear()
    page.wait_for_timeout(3000)
    assert frames == []
