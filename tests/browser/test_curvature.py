"""The Curvature page in a real browser: one scrubber for every panel, against the numbers in the store."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from dropviz.analysis import density
from dropviz.experiment import preset
from dropviz.store import Store
from tests.browser.served import Served, until
from tests.browser.test_lab import button

ARMS = ("none", "dropout")
SETTINGS = [f"arms={list(ARMS)}", "seeds=3", "train.steps=60", "model.widths=[8,8]", "data=two-moons"]
SETTINGS += ["observe.evaluations=6", "observe.statistics=4", "observe.refreshes=3"]
REFRESHES, STATISTICS, EVALUATIONS = [0, 10, 60], [0, 20, 40, 60], list(range(0, 70, 10))
AT_STEP = {  # panel → the steps that it has
    "boundary-at-step": EVALUATIONS,
    "density": REFRESHES,
    "loss-slice": REFRESHES,
    "top-eigenvalues": REFRESHES,
    "layers": STATISTICS,
    "shares": STATISTICS,
    "law": REFRESHES,
    "norms": STATISTICS,
    "weights": STATISTICS,
}


@pytest.fixture(scope="module")
def view_id(served: Served) -> str:
    """A small experiment with refreshes, trained by the server's own engine."""
    found = served.store.submit(preset("classroom").with_settings(SETTINGS))
    served.wait_until(lambda: served.store.experiment(found).state == "done", "the experiment is done")
    return found


@pytest.fixture
def tab(page: Page, served: Served, view_id: str) -> Page:
    """Its page, by a cold link, with every group opened."""
    open_page(page, served, f"run={view_id}")
    return page


@pytest.fixture
def stranger(chromium: Browser) -> Iterator[Page]:
    """Somebody who follows a link, in a profile that was never here."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    yield context.new_page()
    context.close()


def open_page(page: Page, served: Served, query: str) -> None:
    page.goto(f"{served.url}/curvature?{query}")
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", "done")
    for summary in page.locator(".dv-fold > summary").all():
        summary.click()


def at(steps: list[int], now: int) -> int:
    return max(step for step in steps if step <= now)


def expect_step(page: Page, now: int) -> None:
    """Every panel of one step says that it shows this one, or the last measured before it."""
    expect(page.locator(".dv-now")).to_have_text(f"step {now} of 60")
    for chart, steps in AT_STEP.items():
        note, shown = page.locator(f"[data-chart={chart}] .dv-at"), at(steps, now)
        expect(note).to_have_attribute("data-step", str(shown))
        expect(note).to_contain_text(f"at step {shown}")
        if shown != now:
            expect(note).to_contain_text(f"the last measured before step {now}")


def traces(page: Page, chart: str, role: str) -> list[dict[str, Any]]:
    script = """chart => document.querySelector(`[data-chart="${chart}"] .dv-plot`).data.map(
        ({meta, x, y, z, error_y}) => ({meta, x, y, z, error_y}))"""
    return [one for one in page.evaluate(script, chart) if one["meta"]["role"] == role]


def mark(page: Page, chart: str) -> list[float]:
    script = """chart => document.querySelector(`[data-chart="${chart}"] .dv-plot`).layout.shapes.map(({x0}) => x0)"""
    return page.evaluate(script, chart)


def stored(store: Store, view_id: str, arm: str, metric: str, step: int) -> np.ndarray:
    (job,) = [job for job in store.experiment(view_id).jobs if job.arm == arm]
    (found,) = [p.values for p in store.points(job.id) if (p.name, p.step) == (metric, step)]
    return found


def test_the_scrubber_takes_every_panel_to_the_same_step_by_keyboard(tab: Page) -> None:
    expect_step(tab, 60)
    slider = tab.get_by_role("slider", name="Step that every panel shows")
    slider.focus()
    for key, now in (("ArrowLeft", 50), ("ArrowLeft", 40), ("Home", 0), ("ArrowRight", 10), ("End", 60)):
        tab.keyboard.press(key)
        expect_step(tab, now)
        expect(slider).to_have_attribute("aria-valuetext", f"step {now} of 60")
        for chart in ("hessian-traces", "largest-eigenvalue", "noise-parts", "alignment", "calibration"):
            assert mark(tab, chart) == [now]
        assert mark(tab, "spectrum-over-time") == [REFRESHES.index(at(REFRESHES, now)) - 0.5]


def test_panels_show_the_numbers_of_the_store(tab: Page, served: Served, view_id: str) -> None:
    tab.get_by_role("slider").focus()
    tab.keyboard.press("Home")
    expect_step(tab, 0)
    for bar in traces(tab, "layers", "parts"):
        for place, (layer, height) in enumerate(zip(bar["x"], bar["y"], strict=True)):
            name = bar["meta"]["metric"].replace("*", layer)
            values = stored(served.store, view_id, bar["meta"]["arm"], name, 0)
            assert height == pytest.approx(values.mean(), rel=1e-4)
            assert bar["error_y"]["array"][place] == pytest.approx(
                4.3027 * values.std(ddof=1) / 3**0.5, rel=1e-3
            )
    for marks in traces(tab, "law", "profile"):
        arm, metrics = marks["meta"]["arm"], marks["meta"]["metrics"]
        means = [stored(served.store, view_id, arm, metric, 0).mean() for metric in metrics]
        np.testing.assert_allclose(marks["y"], means, rtol=1e-4)
    (job,) = [job for job in served.store.experiment(view_id).jobs if job.arm == "dropout"]
    (picture,) = traces(tab, "loss-slice", "slice")
    losses, axes = (served.store.snapshot_at(job.id, name, 0) for name in ("slice/loss", "slice/axes"))
    assert losses is not None
    assert axes is not None
    np.testing.assert_allclose(picture["z"], losses.array[0], rtol=1e-3)
    np.testing.assert_allclose(picture["x"], axes.array[0, 0], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(picture["y"], axes.array[0, 1], rtol=1e-3, atol=1e-6)
    surface = served.store.snapshot_at(job.id, "surface", 0)
    assert surface is not None
    (shown,) = [
        one["z"] for one in traces(tab, "boundary-at-step", "surface") if one["meta"]["arm"] == "dropout"
    ]
    np.testing.assert_array_equal(np.array(shown), surface.array)


def test_a_table_has_the_numbers_of_the_step_with_their_intervals(
    tab: Page, served: Served, view_id: str
) -> None:
    tab.locator("[data-chart=layers]").get_by_role("button", name="table").click()
    tab.get_by_role("slider").focus()
    tab.keyboard.press("Home")
    table = tab.locator("[data-chart=layers] table")
    expect(table.locator("th")).to_have_text(["step 0", *ARMS])
    values = stored(served.store, view_id, "none", "layers/layer1/hessian_trace", 0)
    shown = table.locator("tr", has_text="layers/layer1/hessian_trace").locator("td").nth(1).inner_text()
    mean, lower, upper = (float(number) for number in re.findall(r"-?[\d.]+", shown))
    half = 4.3027 * values.std(ddof=1) / 3**0.5
    assert [mean, lower, upper] == pytest.approx(
        [values.mean(), values.mean() - half, values.mean() + half], rel=2e-3
    )


def test_a_density_stands_at_its_eigenvalues(tab: Page, served: Served, view_id: str) -> None:
    expect_step(tab, 60)
    (job,) = [job for job in served.store.experiment(view_id).jobs if job.arm == "none"]
    nodes = served.store.snapshot_at(job.id, "spectrum/density", 60)
    assert nodes is not None
    expected = density.averaged(nodes.array)
    assert expected is not None
    (curve,) = [one for one in traces(tab, "density", "density") if one["meta"]["arm"] == "none"]
    for place, height in zip(curve["x"], curve["y"], strict=True):
        index = round((place - density.LOWEST) / density.SPACING)
        if height is not None:
            assert height == pytest.approx(expected[index], rel=1e-2)


def test_a_link_with_a_step_shows_a_stranger_the_same(
    tab: Page, stranger: Page, served: Served, view_id: str
) -> None:
    tab.get_by_role("slider").focus()
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowRight")
    tab.get_by_label("Maps of").select_option("none")
    expect(tab.locator("[data-chart=loss-slice] .dv-at")).to_have_text("none, seed 0, at step 10")
    tab.wait_for_url(re.compile(r"step=10&arm=none$"))
    open_page(stranger, served, tab.url.partition("?")[2])
    for page in (tab, stranger):
        expect_step(page, 10)
    for chart in (*AT_STEP, "spectrum-over-time"):
        script = 'chart => JSON.stringify(document.querySelector(`[data-chart="${chart}"] .dv-plot`).data.map(({x, y, z}) => [x, y, z]))'
        assert json.loads(tab.evaluate(script, chart)) == json.loads(stranger.evaluate(script, chart)), chart


def test_a_zoom_survives_the_scrubber_and_the_newest_step_is_one_press_away(tab: Page) -> None:
    area = tab.locator("[data-chart=density] .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=5)
    tab.mouse.up()
    expect(tab.locator("[data-chart=density] .dv-follow")).to_be_visible()
    script = "document.querySelector('[data-chart=density] .dv-plot').layout.xaxis.range"
    chosen = tab.evaluate(script)
    tab.get_by_role("slider").focus()
    tab.keyboard.press("Home")
    expect_step(tab, 0)
    assert tab.evaluate(script) == chosen
    tab.get_by_role("button", name="last step").click()
    expect_step(tab, 60)
    tab.wait_for_url(re.compile(r"run=[0-9a-f]{32}$"))


def test_what_was_loaded_is_not_asked_for_again(tab: Page) -> None:
    slider = tab.get_by_role("slider")
    slider.focus()
    for key, now in zip(("Home", *["ArrowRight"] * 6), EVALUATIONS, strict=True):
        tab.keyboard.press(key)
        expect_step(tab, now)
        tab.wait_for_timeout(500)  # until every panel has asked for what it shows
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    for key in ("Home", *["ArrowRight"] * 6):
        tab.keyboard.press(key)
        tab.wait_for_timeout(50)
    expect_step(tab, 60)
    assert [url for url in asked if "/arrays/" in url] == []


def test_who_is_refused_for_asking_too_often_waits_and_then_sees_everything(
    page: Page, served: Served, view_id: str
) -> None:
    refused: list[str] = []

    def refuse_once(route: Route) -> None:
        address = route.request.url.partition("&cursor")[0]
        if address in refused:
            return route.continue_()
        refused.append(address)
        return route.fulfill(status=429, headers={"Retry-After": "1"}, json={"error": "Wait 1 s."})

    page.route(re.compile("/(live|arrays)/"), refuse_once)
    open_page(page, served, f"run={view_id}")
    expect_step(page, 60)
    expect(page.locator(".dv-banner")).to_be_hidden()
    assert {"live", "density/60", "slice/60"} <= {
        "live" if "/live/" in one else "/".join(one.split("/")[-2:]) for one in refused
    }


def test_play_walks_through_the_steps_and_is_not_offered_where_motion_is_unwanted(
    tab: Page, chromium: Browser, served: Served, view_id: str
) -> None:
    tab.get_by_role("slider").focus()
    tab.keyboard.press("Home")
    tab.get_by_role("button", name="Play through the steps").click()
    expect(tab.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    expect_step(tab, 60)
    expect(tab.get_by_role("button", name="Play through the steps")).to_be_visible()
    calm = chromium.new_context(reduced_motion="reduce")
    page = calm.new_page()
    open_page(page, served, f"run={view_id}")
    expect(page.get_by_role("slider")).to_be_visible()
    expect(page.get_by_role("button", name="Play through the steps")).to_be_hidden()
    calm.close()


def test_a_run_without_refreshes_says_how_to_get_them(page: Page, served: Served) -> None:
    spec = preset("classroom").with_settings([*SETTINGS, "observe.refreshes=0", "seeds=1", 'arms=["none"]'])
    view_id = served.store.submit(spec)
    served.wait_until(lambda: served.store.experiment(view_id).state == "done", "the experiment is done")
    open_page(page, served, f"run={view_id}")
    expect(page.locator(".dv-notice")).to_contain_text("set Curvature refreshes")
    for chart in ("density", "loss-slice", "spectrum-over-time", "law"):
        expect(page.locator(f"[data-chart={chart}]")).to_contain_text("Not measured in this run")
    expect(page.locator("[data-chart=layers] .dv-at")).to_have_text("at step 60")


def test_while_it_trains_the_page_follows_until_the_scrubber_is_moved(page: Page, served: Served) -> None:
    long = ["train.steps=60000", "observe.evaluations=600", "observe.statistics=600", "first_seed=700"]
    view_id = served.store.submit(
        preset("noisy-digits").with_settings(['arms=["none"]', "seeds=1", "model.widths=[8]", *long])
    )
    page.goto(f"{served.url}/curvature?run={view_id}")
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", "running")
    now, slider = page.locator(".dv-now strong"), page.get_by_role("slider")
    until(page, "document.querySelector('.dv-now strong')?.textContent.replace(',', '') > 200")
    seen = now.inner_text()
    expect(now).not_to_have_text(seen)
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    stops = slider.get_attribute("max")
    expect(slider).not_to_have_attribute("max", str(stops))
    expect(now).to_have_text("100")
    expect(page.locator("[data-chart=layers] .dv-at")).to_have_text("at step 100")
    page.get_by_role("button", name="follow live").click()
    expect(now).not_to_have_text("100")
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(r"step=100$"))
    served.store.request(view_id, "stop")  # the script runs anew, and the address stays
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", "stopped")
    page.wait_for_timeout(2000)
    assert page.url.endswith("&step=100")
    expect(now).to_have_text("100")


def test_a_step_past_the_end_is_the_last_one(page: Page, served: Served, view_id: str) -> None:
    open_page(page, served, f"run={view_id}&step=99999&arm=nobody")
    expect_step(page, 60)
    expect(page.get_by_label("Maps of")).to_have_value("dropout")


def test_the_lab_and_the_page_keep_the_run(tab: Page, view_id: str) -> None:
    tab.get_by_role("link", name="Lab").click()
    tab.wait_for_url(re.compile(rf"lab\?run={view_id}"))
    tab.get_by_role("button", name="Curvature of this run").click()
    tab.wait_for_url(re.compile(rf"curvature\?run={view_id}"))
    expect(tab.locator(".dv-headline")).to_contain_text("Curvature · two-moons")
    tab.get_by_role("button", name="This run in the Lab").click()
    tab.wait_for_url(re.compile(rf"lab\?run={view_id}"))


def test_the_spectrum_is_measured_at_the_chosen_step_on_request(
    page: Page, served: Served, view_id: str
) -> None:
    page.goto(f"{served.url}/lab?run={view_id}")
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", "done")
    button(page, "Run").click()  # from now on it is this visitor's
    page.wait_for_url(lambda url: view_id not in url)
    own = re.search(r"run=([0-9a-f]{32})", page.url)
    assert own
    page.goto(f"{served.url}/curvature?run={own[1]}&step=30")
    panel = page.locator("[data-chart=density] .dv-at")
    expect(panel).to_contain_text("at step 10, the last measured before step 30")
    page.get_by_role("button", name="measure here").click()
    page.get_by_role("button", name=re.compile("Measure the whole spectrum of dropout at step 30")).click()
    expect(page.get_by_text("The whole spectrum of dropout is measured at step 30")).to_be_visible(
        timeout=30_000
    )
    expect(panel).to_have_attribute("data-step", "10 30")  # of the other arm, and of this one
