"""A lesson in a real browser: predicted by mouse and by keyboard, run on the real engine, revealed, and gone on from."""

from __future__ import annotations

import random
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from dropviz.lessons import entries
from tests.browser.served import Served, serving
from tests.browser.test_accessibility import grave, settled

LONG = 90_000  # milliseconds: a run on a busy machine


def query(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def points(page: Page) -> Locator:
    return page.get_by_role("slider")


def press(page: Page, name: str) -> None:
    page.get_by_role(
        "button", name=re.compile(f"^(arrow_forward |visibility |play_arrow )?{name}")
    ).first.click()


def draw(page: Page, heights: list[float]) -> None:
    """Sweep across the chart with the mouse, from point to point; heights from 0 to 1."""
    box = page.locator(".dv-drawing").bounding_box()
    assert box
    xs = [float(x) for x in points(page).evaluate_all("all => all.map(one => one.getAttribute('cx'))")]
    ys = [box["y"] + 14 + (1 - height) * (320 - 14 - 52) for height in heights]
    page.mouse.move(box["x"] + xs[0], ys[0])
    page.mouse.down()
    for x, y in zip(xs[1:], ys[1:], strict=True):
        page.mouse.move(box["x"] + x, y, steps=4)
    page.mouse.up()


def test_a_lesson_is_predicted_by_mouse_run_and_revealed(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/lessons?lesson=masks")
    press(page, "Predict what happens")
    expect(points(page)).to_have_count(4)
    expect(page.get_by_role("button", name="Keep this and run")).to_be_disabled()
    draw(page, [0.9, 0.5, 0.3, 0.1])
    expect(page.get_by_role("button", name="Keep this and run")).to_be_enabled()
    press(page, "Keep this and run")
    page.wait_for_url(lambda url: "step=run" in url)
    guess = [float(part) for part in query(page)["guess"].split(",")]
    assert guess == pytest.approx([99, 55, 33, 11], abs=3)
    press(page, "Run it here")
    page.wait_for_url(lambda url: "run=" in url)
    page.get_by_role("button", name="Reveal the result").click(timeout=LONG)
    expect(page.get_by_role("img", name=re.compile("The prediction went from"))).to_be_visible()
    expect(page.get_by_text("Run here, 8 seeds")).to_be_visible()
    expect(page.locator(".katex").first).to_be_visible()
    page.reload()
    expect(page.get_by_text("Run here, 8 seeds")).to_be_visible(timeout=LONG)
    press(page, "Next lesson")
    expect(page.get_by_role("heading", name="4. Lose the implicit effect")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="3. k masks")).to_be_visible()
    expect(page.get_by_text("Run here, 8 seeds")).to_be_visible()


def test_a_prediction_can_be_drawn_by_keyboard_alone(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/lessons?lesson=units&step=predict")
    expect(points(page)).to_have_count(3)
    points(page).first.focus()
    for keys in (("End",), ("PageUp", "ArrowDown"), ("Home",)):
        for key in keys:
            page.keyboard.press(key)
        page.keyboard.press("ArrowRight")
    expect(points(page).nth(0)).to_have_attribute("aria-valuetext", "200 %")
    expect(points(page).nth(2)).to_have_attribute("aria-valuetext", "0 %")
    expect(points(page).nth(2)).to_be_focused()
    expect(page.get_by_role("button", name="Keep this and run")).to_be_enabled()
    expect(points(page).nth(2)).to_be_focused()
    press(page, "Keep this and run")
    page.wait_for_url(lambda url: "guess=200" in url)
    page.go_back()
    expect(points(page).nth(0)).to_have_attribute("aria-valuetext", "200 %")


def test_a_table_of_ones_own_is_what_the_lesson_runs_on(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/lessons?lesson=own-data&step=run")
    draws = random.Random(0)
    rows = [(draws.gauss(0, 1), draws.gauss(0, 1)) for _ in range(60)]
    lines = [f"{x:.3f},{y:.3f},{'warm' if x + y > 0 else 'cold'}" for x, y in rows]
    table = "\n".join(["left,right,kind", *lines]).encode()
    page.locator("input[type=file]").set_input_files(
        {"name": "weather <b>.csv", "mimeType": "text/csv", "buffer": table}
    )
    expect(page.get_by_text("weather <b>.csv").first).to_be_visible()
    press(page, "Run it on your table")  # says so once the server has it
    page.wait_for_url(lambda url: "run=" in url, timeout=LONG)
    spec = served.store.experiment(query(page)["run"]).spec
    assert spec.data.name == "csv"
    page.get_by_role("button", name="Reveal the result").click(timeout=LONG)
    expect(page.get_by_text("Run here, 8 seeds")).to_be_visible(timeout=LONG)
    expect(
        page.locator(".stMarkdownBadge", has_text="on your table").first
    ).to_be_visible()  # a table that dropout does not help refutes nothing
    expect(page.get_by_text("does not hold")).to_have_count(0)


@pytest.mark.parametrize("name", ["boundary", "own-data"])
def test_a_cold_deep_link_opens_the_reveal(page: Page, tmp_path: Path, name: str) -> None:
    with serving(tmp_path) as fresh:
        page.goto(f"{fresh.url}/lessons?lesson={name}&step=reveal&run=recorded")
        expect(page.get_by_text(re.compile("Recorded, .* seeds"))).to_be_visible(timeout=LONG)
        expect(page.locator(".dv-plot .main-svg").first).to_be_visible()


def test_the_markup_of_a_teachers_file_is_shown_as_text(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/lessons?lesson=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    expect(page.get_by_text("There is no lesson")).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 1000), (390, 844)], ids=["desk", "phone"])
@pytest.mark.parametrize(
    ("name", "step"),
    [("boundary", "predict"), ("penalty", "predict"), ("masks", "run"), ("boundary", "reveal")],
)
def test_axe_finds_nothing_serious_in_a_lesson(
    chromium: Browser, served: Served, name: str, step: str, size: tuple[int, int], scheme: str
) -> None:
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)  # type: ignore[arg-type]
    opened = context.new_page()
    opened.goto(f"{served.url}/lessons?lesson={name}&step={step}&run=recorded")
    settled(opened)
    found = grave(opened)
    if found:
        opened.wait_for_timeout(700)  # what has just come in is faint for a moment
        found &= grave(opened)
    wide = opened.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    context.close()
    assert found == set()
    assert wide <= 0


def test_every_equation_fits_a_phone(chromium: Browser, served: Served) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    opened = context.new_page()
    for one in entries():
        opened.goto(f"{served.url}/lessons?lesson={one.name}&step=reveal&run=recorded")
        equation = opened.locator(".katex-display").first
        expect(equation).to_be_visible()
        over = equation.evaluate("node => node.scrollWidth - node.clientWidth")
        assert over <= 0, f"{one.name}: {over} pixels too wide"
    context.close()
