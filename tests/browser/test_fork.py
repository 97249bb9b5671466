"""Fork from here in a real browser: from the scrubber's step to a curve that leaves its trunk there, and back."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dropviz.experiment import preset
from tests.browser.served import Served

FORK, LABEL = "dropout@30:explicit+implicit", "dropout until 30, then explicit+implicit"
SETTINGS = ['arms=["none", "dropout"]', "seeds=3", "train.steps=60", "model.widths=[8]", "data=two-moons"]
SETTINGS += ["observe.evaluations=6", "observe.statistics=4"]


@pytest.fixture(scope="module")
def view_id(served: Served) -> str:
    """A small run of somebody else's."""
    found = served.store.submit(preset("classroom").with_settings(SETTINGS), owner="somebody else")
    served.wait_until(lambda: served.store.experiment(found).state == "done", "the run is done")
    return found


def curve(page: Page, chart: str, arm: str) -> dict[int, float]:
    script = """([chart, arm]) => document.querySelector(`[data-chart="${chart}"] .dv-plot`).data
        .filter(({meta}) => meta.role === "line" && meta.arm === arm).map(({x, y}) => [x, y])[0]"""
    x, y = page.evaluate(script, [chart, arm])
    return dict(zip(x, y, strict=True))


def switches(page: Page, chart: str) -> list[Any]:
    script = """chart => document.querySelector(`[data-chart="${chart}"] .dv-plot`).layout.shapes
        .filter(({label}) => label?.text).map(({x0, label}) => [x0, label.text])"""
    return page.evaluate(script, chart)


def test_a_run_is_forked_at_the_scrubbers_step_and_shown(page: Page, served: Served, view_id: str) -> None:
    page.goto(f"{served.url}/curvature?run={view_id}")
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", "done")
    page.get_by_role("slider", name="Step that every panel shows").focus()
    for now in (50, 40, 30):
        page.keyboard.press("ArrowLeft")
        expect(page.locator(".dv-now")).to_have_text(f"step {now} of 60")
    page.get_by_role("button", name="fork from here").press("Enter")
    panel = page.locator(".st-key-fork_panel")
    expect(panel).to_contain_text("Fork this run")
    expect(panel.get_by_label("At step")).to_have_value("30")
    expect(panel).to_contain_text(f"New: {LABEL}. What this run has is taken over.")
    expect(panel).to_contain_text("180 updates: 1 arm × 3 seeds × 60 steps")
    panel.get_by_role("button", name="Run the fork").click()
    page.wait_for_url(lambda url: view_id not in url)
    chip = page.locator(".dv-chip", has_text=LABEL)
    expect(chip).to_be_visible()
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", "done")
    assert switches(page, "hessian-traces") == [[30, "switch at 30"]]
    page.get_by_role("button", name="This run in the Lab").click()
    expect(page.locator("[data-chart=ladder]")).to_be_visible()
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", "done")
    trunk, fork = (curve(page, "validation-loss", arm) for arm in ("dropout", FORK))
    assert {step: fork[step] for step in range(0, 40, 10)} == {step: trunk[step] for step in range(0, 40, 10)}
    assert fork[60] != trunk[60]
    assert switches(page, "validation-loss") == [[30, "switch at 30"]]
    page.get_by_role("button", name="Back to the run before the fork").click()
    page.wait_for_url(lambda url: view_id in url)
    expect(chip).to_have_count(0)
