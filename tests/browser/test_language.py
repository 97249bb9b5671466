"""Texts in a real browser: a run with its perplexities and samples, a file of one's own, a data set that is fetched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dropviz.datasets.fashion_mnist import DEBIAN, FashionMnist
from dropviz.experiment import ExperimentSpec
from tests.browser.served import Served, serving, until
from tests.browser.test_lab import press, state
from tests.downloads import server as serve
from tests.downloads.server import Request

TINY = {
    "data": {"name": "markov", "symbols": 10, "train_tokens": 1000},
    "model": {"name": "lstm", "layers": 1, "width": 8, "embedding": 8, "dropout_at": ["output"]},
    "arms": ["none", "dropout", "dropout-2"],
    "seeds": 3,
    "train": {"steps": 30, "learning_rate": 1.0, "clip": 1.0},
    "language": {"segment": 8},
    "observe": {"evaluations": 6, "statistics": 2, "masks": 2, "probe": 8},
}
PERPLEXITY = "document.querySelector('[data-chart=perplexity] .dv-plot').data"


def choose(page: Page, menu: str, option: str) -> None:
    page.get_by_role("combobox", name=menu).click()
    page.keyboard.type(option[:12])  # the menu is long: it draws what is in sight
    page.get_by_role("option", name=option).click()


def ended(page: Page) -> None:
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", re.compile("done|cached"))


def test_a_text_is_trained_on_and_its_perplexity_and_samples_are_seen(page: Page, served: Served) -> None:
    view_id = served.store.submit(ExperimentSpec.from_table(TINY))
    page.goto(f"{served.url}/lab?run={view_id}")
    state(page, "done")
    expect(page.locator(".dv-headline")).to_contain_text(re.compile("test loss.* nats a symbol"))
    expect(page.locator(".dv-note")).to_contain_text("10 symbols")
    expect(page.locator("[data-chart=accuracy]")).to_have_count(0)
    samples = page.locator("[data-chart=samples] .dv-sample")
    expect(samples).to_have_count(3)
    for arm, sample in zip(TINY["arms"], samples.all(), strict=True):
        expect(sample).to_contain_text(arm)
        expect(sample).to_contain_text("step 30")
        assert len(sample.locator(".dv-prompt").inner_text().split()) == 8
        assert len(sample.locator(".dv-text").inner_text().split()) == 68
    until(page, f"{PERPLEXITY}.filter(t => t.meta.role === 'line' && t.x.length === 7).length === 3")
    known = page.evaluate(f"{PERPLEXITY}.filter(t => t.meta.role === 'reference').map(t => [t.name, t.y])")
    (optimum, below), (unigram, above) = known
    assert (optimum, unigram) == ("known optimum", "unigram baseline")
    assert below[0] == below[1] < above[0] == above[1] < 11
    page.get_by_role("button", name="dropout", exact=True).click()
    expect(samples.nth(1)).to_be_hidden()


@pytest.mark.parametrize("width", [390, 1440])
def test_samples_are_never_wider_than_the_window(page: Page, served: Served, width: int) -> None:
    view_id = served.store.submit(ExperimentSpec.from_table(TINY))
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{served.url}/lab?run={view_id}")
    expect(page.locator(".dv-prompt")).to_have_count(3)
    widest = "Math.max(...[...document.querySelectorAll('.dv-samples *')].map(e => e.getBoundingClientRect().right))"
    assert page.evaluate(widest) <= width


def test_what_a_network_writes_is_never_markup(page: Page, served: Served) -> None:
    """The letters of markup, as a person's own text of characters."""
    view_id = served.store.submit(ExperimentSpec.from_table(TINY))
    evil = '<img src=x onerror="document.title=1">'

    def answer(route: object) -> None:
        response = route.fetch()  # type: ignore[attr-defined]
        table = response.json()
        for sample in table["samples"].values():
            sample |= {"prompt": evil, "text": evil}
        route.fulfill(response=response, json=table)  # type: ignore[attr-defined]

    page.route("**/live/**", answer)
    page.goto(f"{served.url}/lab?run={view_id}")
    expect(page.locator(".dv-text").first).to_have_text(evil + evil)
    assert page.locator(".dv-samples img").count() == 0


def test_a_text_of_ones_own_is_uploaded_and_run_and_the_link_goes_on_working(
    page: Page, served: Served
) -> None:
    table = TINY | {"arms": ["none", "dropout"], "seeds": 1}
    shown = served.store.submit(ExperimentSpec.from_table(table))
    page.goto(f"{served.url}/lab?run={shown}")
    ended(page)
    choose(page, "Data set", "Your own text")
    expect(page.get_by_test_id("stSidebar")).to_contain_text("No file is chosen: upload one")
    press(page, "Run")
    expect(page.get_by_test_id("stAlert").filter(has_text="No file is chosen")).to_have_count(2)
    file = {"name": "pets.txt", "mimeType": "text/plain", "buffer": b"The cat sat, and the dog lay. " * 200}
    page.locator("input[type=file]").set_input_files([file])
    expect(page.get_by_text("No file is chosen: upload one")).to_have_count(0)
    press(page, "Run")
    page.wait_for_url(lambda url: shown not in url)
    ended(page)
    expect(page.locator(".dv-note")).to_contain_text("9 words: lower-cased words and punctuation marks")
    page.reload()
    ended(page)
    expect(page.get_by_test_id("stSidebar")).to_contain_text("In use:")


@pytest.mark.skipif(DEBIAN.exists(), reason="Debian's package has Fashion-MNIST here: nothing to fetch")
def test_a_data_set_is_fetched_with_progress_and_can_be_cancelled(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = FashionMnist.files[0].size
    asked: list[Request] = []

    def some_of_it(request: Request) -> None:
        """As a proxy: the first million bytes, and then nothing for a while."""
        asked.append(request)
        request.head("200 OK", f"Content-Length: {size}")
        request.send(bytes(1_000_000))
        request.released.wait(60)

    with serve.serving() as proxy:
        proxy.gives(some_of_it)
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
        monkeypatch.setenv("DROPVIZ_CACHE", str(tmp_path / "cache"))
        with serving(tmp_path / "data") as own:
            page.goto(f"{own.url}/lab")
            choose(page, "Data set", FashionMnist.title)
            side = page.get_by_test_id("stSidebar")
            expect(side).to_contain_text("is not on this server yet: 30.9 MB")
            press(page, "Run")
            expect(side).to_contain_text("has to be fetched first")
            page.get_by_role("button", name=re.compile(r"Fetch \(30.9 MB\)")).click()
            expect(side).to_contain_text("1.0 MB of 30.9 MB")
            assert asked[0].path.startswith("http://")
            page.get_by_role("button", name="Cancel").click()
            expect(page.get_by_role("button", name=re.compile("Go on fetching"))).to_be_visible()
            proxy.released.set()
