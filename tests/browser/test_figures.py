"""A chart that Python drew whole holds still in a real browser, follows the theme and can be kept."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.served import ROOT, until
from tests.houses import free_port

APP = Path(__file__).with_name("figure_app.py")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    log = (tmp_path_factory.mktemp("figure") / "log").open("wb")
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while not _healthy(port):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(20)


def _healthy(port: int) -> bool:
    try:
        connection = HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == 200
    except OSError:
        return False


@pytest.fixture
def shown(page: Page, address: str) -> Page:
    page.goto(address)
    expect(page.locator(".dropviz .main-svg").first).to_be_visible()
    return page


def plotted(page: Page, what: str) -> object:
    return page.evaluate(f"() => document.querySelector('.dv-plot').{what}")


def test_new_numbers_keep_the_node_and_the_zoom(shown: Page) -> None:
    shown.evaluate("() => { window.node = document.querySelector('.dv-plot'); }")
    shown.evaluate("() => Plotly.relayout(window.node, {'xaxis.range': [0.5, 1.5]})")
    shown.get_by_role("button", name="More").click()
    until(shown, "() => document.querySelector('.dv-plot').data[0].customdata.length === 4")
    assert shown.evaluate("() => window.node === document.querySelector('.dv-plot')")
    assert plotted(shown, "layout.xaxis.range") == [0.5, 1.5]


def test_the_table_has_its_numbers_and_links_and_opens_by_the_keyboard(shown: Page) -> None:
    expect(shown.get_by_role("img", name="A parabola")).to_be_visible()
    button = shown.get_by_role("button", name="Table of Squares, drawn")
    button.focus()
    shown.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    assert shown.locator(".dv-table tr").all_inner_texts() == ["x\tx squared", "0\t0", "1\t1", "2\t=1+1"]
    assert shown.locator(".dv-table a").get_attribute("href") == "?point=1"
    shown.get_by_role("button", name="More").click()
    expect(shown.locator(".dv-table tr")).to_have_count(5)


@pytest.mark.parametrize("format_", ["PNG", "SVG", "CSV"])
def test_it_can_be_kept(shown: Page, tmp_path: Path, format_: str) -> None:
    shown.locator("summary", has_text="save").focus()
    shown.keyboard.press("Enter")
    with shown.expect_download() as waiting:
        shown.get_by_role("button", name=format_, exact=True).click()
    kept = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(kept)
    assert kept.name == f"squares-drawn.{format_.lower()}"
    content = kept.read_bytes()
    beginnings = {"PNG": b"\x89PNG", "SVG": b"<svg", "CSV": b"x,x squared\r\n0,0\r\n1,1\r\n2,'=1+1\r\n"}
    assert content.startswith(beginnings[format_])


def test_a_click_on_a_point_chooses_it(shown: Page) -> None:
    box = shown.locator(".dv-plot .point").nth(1).bounding_box()
    assert box is not None
    shown.mouse.move(box["x"] - 20, box["y"])
    shown.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    shown.mouse.down()
    shown.mouse.up()
    expect(shown.get_by_text("Chosen: point 1")).to_be_visible()


def test_colours_follow_the_theme(chromium: Browser, address: str) -> None:
    context = chromium.new_context(color_scheme="dark")
    dark = context.new_page()
    dark.goto(address)
    expect(dark.locator(".dropviz .main-svg").first).to_be_visible()
    assert plotted(dark, "data[0].line.color") == "#4d9fe6"
    context.close()
