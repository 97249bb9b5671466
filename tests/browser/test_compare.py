"""The Compare page in a real browser: one's own list, sharing, a link that shows the same, and charts that hold still."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, TimeoutError, expect

from dropviz.experiment import preset
from tests.browser.served import Served, until
from tests.browser.test_accessibility import grave, settled
from tests.browser.test_lab import long_run

ARMS = ["none", "dropout"]
SETTINGS = [f"arms={json.dumps(ARMS)}", "seeds=3", "train.steps=60", "model.widths=[16]", "data=two-moons"]
SETTINGS += ["observe.evaluations=6", "observe.statistics=0"]


def submit(served: Served, owner: str, *changes: str) -> str:
    """A small run that has ended."""
    view_id = served.store.submit(preset("classroom").with_settings([*SETTINGS, *changes]), owner=owner)
    served.wait_until(lambda: served.store.experiment(view_id).state == "done", "the experiment is done")
    return view_id


def owner_of(page: Page, served: Served) -> str:
    """The id in this browser's cookie, which the server gave it with the page."""
    page.goto(f"{served.url}/compare")
    (found,) = (one for one in page.context.cookies() if one["name"] == "dropviz_visitor")
    return found["value"]


@pytest.fixture
def mine(page: Page, served: Served) -> tuple[str, str]:
    """Two runs of this page's visitor that differ in p."""
    owner = owner_of(page, served)
    return submit(served, owner), submit(served, owner, "p=0.2")


def details(page: Page, view_id: str) -> None:
    page.locator(f".st-key-row-{view_id}").get_by_role("button", name="Details").click()


def tick(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebar").get_by_text(name, exact=True).click()


def choose(page: Page, label: str, option: str) -> None:
    """Of a menu; a chart that is drawn meanwhile moves the page, which closes it: then once more."""
    found = page.get_by_role("option", name=option, exact=True)
    for _ in range(5):
        page.get_by_role("combobox", name=label).click()
        try:
            found.click(timeout=5_000)
            return
        except TimeoutError:
            page.keyboard.press("Escape")
    raise AssertionError(f"{option} cannot be chosen")


def bars(page: Page) -> list[Any]:
    """Name, value and interval of every difference, as plotly has them."""
    until(page, "document.querySelectorAll('.dv-plot .main-svg').length > 0")
    script = """() => [...document.querySelectorAll('.dv-plot')].find(plot => plot.getAttribute('aria-label')
        .startsWith('Differences')).data.map(({name, x, error_x}) => [name, x[0], error_x?.array?.[0] ?? null])"""
    return page.evaluate(script)


def table(page: Page) -> list[str]:
    """The text of the table of scores, a row each."""
    return page.get_by_test_id("stTable").first.locator("tr").all_inner_texts()


def test_ticked_runs_are_compared_and_the_link_shows_the_same_in_a_clean_profile(
    page: Page, served: Served, mine: tuple[str, str], chromium: Browser
) -> None:
    page.goto(f"{served.url}/compare")
    tick(page, "two-moons · mlp16 · p=.5 · steps=60 · lr=.3")
    page.wait_for_url(f"**/compare?runs={mine[0]}")
    tick(page, "two-moons · mlp16 · p=.2 · steps=60 · lr=.3")
    page.wait_for_url(f"**/compare?runs={mine[0]}*{mine[1]}")
    chart = page.get_by_role("img", name="Differences in test accuracy to 1 · dropout")
    expect(chart).to_be_visible(timeout=90_000)  # the charts' library is large, and the machine may be busy
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    choose(page, "Reference", "2 · none")
    page.wait_for_url("**reference=*")
    expect(page.get_by_role("img", name="Differences in test accuracy to 2 · none")).to_be_visible()
    settled(page)
    seen, drawn = table(page), bars(page)
    assert len(seen) == 5
    assert [name for name, *_ in drawn] == ["1 · none", "1 · dropout", "2 · dropout"]
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    stranger = context.new_page()
    stranger.goto(page.url)
    expect(stranger.get_by_role("img", name="Differences in test accuracy to 2 · none")).to_be_visible()
    settled(stranger)
    assert table(stranger) == seen
    assert bars(stranger) == drawn
    sidebar = stranger.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("No runs yet")).to_be_visible()
    context.close()


@pytest.mark.usefixtures("unshared")
def test_ones_list_is_not_anothers_until_it_is_shared(
    page: Page, other_page: Page, served: Served, mine: tuple[str, str]
) -> None:
    page.goto(f"{served.url}/compare")
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("two-moons · mlp16 · p=.5")).to_be_visible()
    other_page.goto(f"{served.url}/compare")
    expect(other_page.get_by_test_id("stSidebar").get_by_text("No runs yet")).to_be_visible()
    details(page, mine[0])
    sidebar.get_by_role("textbox", name="Name").fill("<i>For the class</i>")
    sidebar.get_by_role("textbox", name="Name").press("Enter")
    expect(sidebar.get_by_text("<i>For the class</i>").first).to_be_visible()
    sidebar.get_by_text("Share", exact=True).click()
    served.wait_until(
        lambda: any(line.shared for line in served.store.runs.lines(mine).values()), "it is shared"
    )
    other_page.reload()
    theirs = other_page.get_by_test_id("stSidebar")
    expect(theirs.get_by_text("<i>For the class</i>")).to_be_visible()
    expect(theirs.get_by_text("shared by somebody")).to_be_visible()
    expect(theirs.get_by_text("two-moons · mlp16 · p=.2")).to_have_count(0)
    theirs.get_by_role("button", name="Details").click()
    expect(theirs.get_by_role("button", name="Open in the Lab")).to_be_visible()
    expect(theirs.get_by_role("button", name="Delete")).to_have_count(0)


def test_a_tag_is_typed_and_the_list_is_filtered_by_it(
    page: Page, served: Served, mine: tuple[str, str]
) -> None:
    page.goto(f"{served.url}/compare")
    sidebar = page.get_by_test_id("stSidebar")
    details(page, mine[1])
    tags = sidebar.get_by_role("combobox", name="Tags")
    tags.fill("week 3")
    tags.press("Enter")
    expect(sidebar.get_by_text("#week 3")).to_be_visible()
    assert served.store.runs.lines(mine)[mine[1]].tags == ("week 3",)
    page.keyboard.press("Escape")  # closes the menu, behind which nothing else can be reached
    page.locator(f".st-key-row-{mine[0]}").get_by_role("button", name="Pin").click()
    for option, left in (("Tag", mine[1]), ("Pinned only", mine[0])):
        page.reload()
        expect(page.locator(f".st-key-row-{mine[0]}")).to_be_visible()
        sidebar.get_by_role("button", name="Filter and order").click()
        if option == "Tag":
            page.get_by_role("combobox", name="Tag").fill("week 3")
            page.get_by_role("option", name="week 3").click()
        else:
            page.get_by_text(option, exact=True).click()
        for view_id in mine:
            expect(page.locator(f".st-key-row-{view_id}")).to_have_count(int(view_id == left))


def test_delete_is_undone(page: Page, served: Served, mine: tuple[str, str]) -> None:
    page.goto(f"{served.url}/compare?runs={mine[0]}")
    sidebar = page.get_by_test_id("stSidebar")
    details(page, mine[0])
    sidebar.get_by_role("button", name="Delete").click()
    expect(sidebar.get_by_text("Deleted two-moons")).to_be_visible()
    expect(page.get_by_text("Tick runs on the left")).to_be_visible()
    sidebar.get_by_role("button", name="Undo").click()
    expect(page.locator(f".st-key-row-{mine[0]}")).to_be_visible()
    assert not served.store.runs.lines(mine)[mine[0]].deleted


def test_curves_hold_still_when_the_metric_changes(page: Page, served: Served, mine: tuple[str, str]) -> None:
    page.goto(f"{served.url}/compare?runs={','.join(mine)}")
    plot = "[...document.querySelectorAll('.dv-plot')].find(one => one.closest('.dv-card').textContent.includes('Validation'))"
    until(page, f"{plot}?.data")
    page.evaluate(f"() => {{ window.plot = {plot}; }}")
    values = page.evaluate(
        "() => window.plot._fullData.find(one => one.name === 'dropout' && one.mode === 'lines+markers').y.length"
    )
    assert values == 7
    settled(page)
    choose(page, "Metric", "validation loss")
    until(page, "() => window.plot.layout.yaxis.title.text === 'validation loss'")
    assert page.evaluate("() => window.plot.isConnected")


def test_a_run_under_way_is_drawn_as_it_goes(page: Page, served: Served) -> None:
    view_id = served.store.submit(long_run(900), owner="somebody")
    page.goto(f"{served.url}/compare?runs={view_id}")
    expect(page.get_by_text(" · running")).to_be_visible()
    points = "document.querySelector('.dv-plot')?._fullData?.[0]?.x?.length ?? 0"
    until(page, f"{points} > 2")
    seen = page.evaluate(points)
    until(page, f"{points} > {seen}")
    served.store.request(view_id, "stop")
    expect(page.get_by_text(" · stopped")).to_be_visible()


def test_unknown_runs_are_said(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/compare?runs={'0' * 32}")
    expect(page.get_by_role("alert")).to_contain_text("There is no experiment")
    expect(page.get_by_text("Tick runs on the left")).to_be_visible()


def test_on_a_phone_nothing_is_wider_than_the_screen(
    page: Page, served: Served, mine: tuple[str, str]
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{served.url}/compare?runs={','.join(mine)}")
    expect(page.get_by_role("img", name="Differences in test accuracy")).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_a_comparison(
    page: Page, served: Served, mine: tuple[str, str], scheme: Any
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{served.url}/compare?runs={','.join(mine)}")
    expect(page.get_by_role("img", name="Differences in test accuracy")).to_be_visible()
    details(page, mine[0])
    expect(page.get_by_role("textbox", name="Name")).to_be_visible()
    settled(page)
    found = grave(page)
    if found:
        page.wait_for_timeout(700)  # what is drawn anew is faint for a moment
        found &= grave(page)
    assert found == set()
