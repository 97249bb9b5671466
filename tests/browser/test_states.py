"""Pages in the states that only their use brings about: scanned by axe, light, dark and on a phone, and no wider than the screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from dropviz.classes import ClassDefinition
from dropviz.experiment import preset
from dropviz.store import Classroom
from dropviz.sweeps import Axis, Sweep
from tests.browser.served import Served
from tests.browser.test_accessibility import DESK, PHONE, grave, settled

SMALL = ['arms=["none", "dropout"]', "seeds=3", "train.steps=60", "model.widths=[8]", "observe.evaluations=6"]
SMALL += ["observe.statistics=4", "data=two-moons", "first_seed=8000"]
SPEC = preset("classroom").with_settings(SMALL)
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": DESK},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "phone": {"viewport": PHONE},
}


@pytest.fixture(scope="module")
def run(served: Served) -> str:
    """One that has ended."""
    found = served.store.submit(SPEC, owner="somebody else")
    served.wait_until(lambda: served.store.experiment(found).state == "done", "the run is done")
    return found


@pytest.fixture(scope="module")
def sweep(served: Served) -> str:
    """A map of four cells, all there."""
    asked = Sweep(base=SPEC, axes=[Axis(key="p", values=(0.2, 0.8)), Axis(key="depth", values=(1, 2))])
    found = served.store.sweeps.submit(asked, "somebody else")
    served.wait_until(
        lambda: all(cell.state == "done" for cell in served.store.sweeps.states(found)), "the sweep is done"
    )
    return found


@pytest.fixture(scope="module")
def room(served: Served) -> Classroom:
    """A class in which two members have run."""
    spec = SPEC.with_settings(["first_seed=8500", "seeds=2"])
    found = served.store.classes.create(
        ClassDefinition.of(spec, "Tuesday", open=["p"], seeds=2), "command line"
    )
    runs = [served.store.classes.submit(found.id, visitor * 32, spec) for visitor in "ab"]
    served.wait_until(
        lambda: all(served.store.experiment(one).state == "done" for one in runs), "runs are done"
    )
    return found


@pytest.fixture(params=list(LOOKS))
def tab(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """A new visitor's, in one of the looks."""
    context = chromium.new_context(**LOOKS[request.param])
    yield context.new_page()
    context.close()


def tour(tab: Page, served: Served, _: pytest.FixtureRequest) -> None:
    tab.goto(f"{served.url}/lab")
    settled(tab)
    tab.locator(".dv-tour").get_by_role("button", name="Show me around").click()
    expect(tab.get_by_role("dialog")).to_be_visible()


def swept(tab: Page, served: Served, request: pytest.FixtureRequest) -> None:
    tab.goto(f"{served.url}/what-if?sweep={request.getfixturevalue('sweep')}&show=gain")
    expect(tab.get_by_text("Done: 4 of 4 cells")).to_be_visible()
    expect(tab.locator(".dv-plot .main-svg").first).to_be_visible()


def student(tab: Page, served: Served, request: pytest.FixtureRequest) -> None:
    tab.goto(f"{served.url}/join/{served.store.classes.code(request.getfixturevalue('room'))}")
    expect(tab.get_by_text("You have seat").first).to_be_visible()
    settled(tab)


def teacher(tab: Page, served: Served, request: pytest.FixtureRequest) -> None:
    code = served.store.classes.code(request.getfixturevalue("room"), "teach")
    tab.goto(f"{served.url}/class?teach={code}")
    tab.wait_for_url(re.compile(r"class=[0-9a-z-]{19}$"))
    tab.get_by_text("Results", exact=True).click()
    expect(tab.locator(".dv-note")).to_contain_text("2 students")
    settled(tab)


def forked(tab: Page, served: Served, request: pytest.FixtureRequest) -> None:
    tab.goto(f"{served.url}/curvature?run={request.getfixturevalue('run')}&step=30")
    expect(tab.locator(".dropviz[data-page]")).to_have_attribute("data-state", "done")
    tab.get_by_role("button", name="fork from here").press("Enter")
    expect(tab.locator(".st-key-fork_panel")).to_contain_text("Fork this run")
    settled(tab)


def kept(tab: Page, served: Served, request: pytest.FixtureRequest) -> None:
    tab.goto(f"{served.url}/lab?run={request.getfixturevalue('run')}")
    settled(tab)
    folded = tab.get_by_test_id("stExpandSidebarButton")
    if folded.is_visible():  # on a phone
        folded.click()
    tab.get_by_role("button", name="Keep").click()
    expect(tab.get_by_text("Open an exported run")).to_be_visible()


@pytest.mark.parametrize(
    "bring", [tour, swept, student, teacher, forked, kept], ids=lambda state: state.__name__
)
def test_axe_finds_nothing_serious_and_nothing_is_too_wide(
    tab: Page,
    served: Served,
    request: pytest.FixtureRequest,
    bring: Callable[[Page, Served, pytest.FixtureRequest], None],
) -> None:
    bring(tab, served, request)
    found = grave(tab)
    if found:
        tab.wait_for_timeout(700)  # what a page draws anew is faint for a moment
        found &= grave(tab)
    assert found == set()
    assert tab.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 0
