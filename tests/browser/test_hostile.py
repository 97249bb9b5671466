"""What people type is shown as text: no script of it runs, nothing is fetched from elsewhere, and the page's own rules hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dropviz.classes import ClassDefinition
from dropviz.experiment import ExperimentSpec, preset
from dropviz.web.plain import CUT
from tests.browser.served import Served

OWNER = "feedface" * 4
IMAGE = '<img src="http://elsewhere.example/a.png" onerror="window.stolen=1">'
MARKDOWN = "![a](http://elsewhere.example/b.png) [click](javascript:window.stolen=1) <script>window.stolen=1</script>"
ADDITIONS = "https://elsewhere.example www.elsewhere.example a@elsewhere.example :material/add: :smile: a -> b"  # of Streamlit
TURNED = "\u202egpj.exe \u2066x"
PAGES = (
    "lab",
    "compare",
    "what-if",
    "curvature",
    "lessons",
    "lessons?lesson=boundary",
    "paper",
    "system",
    "class",
)


class Watched:
    """What a tab asked of elsewhere, and which of the page's rules it broke."""

    def __init__(self, page: Page, served: Served) -> None:
        self.elsewhere: list[str] = []
        self.broken: list[str] = []
        self.sent = bytearray()
        page.on("request", lambda request: self._asked(request.url, served.url))
        page.on("console", lambda message: self._said(message.text))
        page.on("websocket", lambda socket: socket.on("framereceived", self._received))
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " (e) => console.error('RULE', e.violatedDirective, e.blockedURI, e.sourceFile))"
        )

    def _asked(self, url: str, here: str) -> None:
        if not url.startswith((here, "data:", "blob:", here.replace("http", "ws"))):
            self.elsewhere.append(url)

    def _said(self, text: str) -> None:
        if text.startswith("RULE"):
            self.broken.append(text)

    def _received(self, frame: str | bytes) -> None:
        self.sent += frame if isinstance(frame, bytes) else frame.encode()


@pytest.fixture
def guest(chromium: Browser, served: Served) -> Iterator[tuple[Page, Watched]]:
    """Another visitor than whoever typed."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    yield page, Watched(page, served)
    context.close()


def hostile(served: Served) -> tuple[str, str]:
    """A shared run and the code of a class, with all that can be typed in them typed."""
    spec = preset("noisy-digits").with_settings(
        ['arms=["none", "dropout"]', "seeds=2", "train.steps=40", "model.widths=[8]", "first_seed=900"]
    )
    run = served.store.submit(spec)
    served.wait_until(lambda: served.store.experiment(run).state == "done", "the run is done")
    _own(served, run)
    served.store.runs.describe(
        run,
        OWNER,
        name=(IMAGE + TURNED)[:120],
        note=f"{MARKDOWN} {ADDITIONS}",
        tags=[IMAGE[:40], "![a](http://e.example/x)"],
        shared=True,
    )
    title = MARKDOWN[:70] + TURNED[:8]
    classroom = served.store.classes.create(
        ClassDefinition.of(_class_spec(spec), title=title, seeds=1), OWNER
    )
    return run, served.store.classes.code(classroom)


def _class_spec(spec: ExperimentSpec) -> ExperimentSpec:
    return spec.with_settings(["first_seed=2000"])


def _own(served: Served, run: str) -> None:
    from sqlalchemy import update

    from dropviz.store.schema import experiments

    with served.store.database.write() as connection:
        connection.execute(update(experiments).where(experiments.c.id == run).values(owner=OWNER))


def only_text(page: Page, shown: str) -> None:
    """What somebody typed is on the page, and nothing on it came of that."""
    expect(page.get_by_text(shown.replace("http://", f"http:{CUT}//")).first).to_be_visible()
    assert (
        page.locator("[onerror], img[src*=elsewhere], a[href^=javascript], a[href*='.example']").count() == 0
    )
    assert page.evaluate("window.stolen") is None


@pytest.mark.usefixtures("unshared")
def test_what_somebody_typed_stays_text_for_everybody_else(
    served: Served, guest: tuple[Page, Watched], tmp_path: Path
) -> None:
    page, seen = guest
    run, code = hostile(served)
    name = served.store.runs.lines([run])[run].name
    assert "\u202e" not in name
    page.goto(f"{served.url}/compare?runs={run}")
    only_text(page, name)
    page.get_by_role("button", name="Details").first.click()
    only_text(page, "[click](javascript:window.stolen=1)")
    assert ADDITIONS in page.get_by_test_id("stSidebar").inner_text().replace(CUT, "")
    page.goto(f"{served.url}/lab?run={run}")
    expect(page.get_by_role("button", name="Stop").first).to_be_disabled()
    page.goto(f"{served.url}/lab?class={code}")
    only_text(page, "![a](http://elsewhere.example/b.png)")
    page.goto(f"{served.url}/class?class={code}")
    only_text(page, "![a](http://elsewhere.example/b.png)")
    page.goto(f"{served.url}/lab?run={IMAGE}&class={MARKDOWN}&preset={IMAGE}&model.name={MARKDOWN}")
    only_text(page, "This link leads to no class")
    report = page.request.get(f"{served.url}/export/{run}/html").body()
    file = tmp_path / "report.html"
    file.write_bytes(report)
    assert seen.elsewhere == []
    assert seen.broken == []
    assert OWNER.encode() not in bytes(seen.sent) + report


@pytest.mark.parametrize("path", PAGES)
def test_every_page_keeps_to_its_own_rules(served: Served, guest: tuple[Page, Watched], path: str) -> None:
    page, seen = guest
    page.goto(f"{served.url}/{path}")
    expect(page.get_by_role("heading").first).to_be_visible()
    page.wait_for_timeout(1500)
    assert seen.broken == []
    assert seen.elsewhere == []
