"""The Paper page and the report of a replication as a browser shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dropviz.analysis.claims import WORDS
from dropviz.commands.replicate.report import report
from dropviz.replication import NOT_RUN, recorded, rows
from tests.browser.served import Served


def test_the_paper_page_leads_to_each_claim(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/paper")
    last = rows()[-1]
    heading = page.get_by_role("heading", name=f"{last.where}: {last.title}")
    expect(heading).to_be_attached(timeout=60_000)
    expect(heading).not_to_be_in_viewport()
    expect(page.locator(".dv-tests").first.locator("li")).to_have_count(len(rows()))
    page.get_by_role("link", name=f"{last.where}: {last.title}").click()
    expect(heading).to_be_in_viewport()
    verdicts = set(page.locator(".dv-verdict").all_inner_texts())
    words = {"✔ " + WORDS["green"], "? " + WORDS["amber"], "✘ " + WORDS["red"], f"○ {NOT_RUN}"}
    assert verdicts <= words


def test_a_chart_has_its_table_and_the_rule_can_be_read(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/paper")
    expect(page.locator(".dv-plot .main-svg").first).to_be_visible()
    page.get_by_role("button", name="Table of Figure 1").click()
    expect(page.get_by_role("table").first).to_contain_text("dropout")
    page.get_by_text("The rule, and the paper's own size").first.click()
    expect(page.get_by_text("dropviz replicate --scale full --only fig1").first).to_be_visible()


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The report of the recorded results."""
    path = tmp_path / "report.html"
    path.write_text(report(recorded(), "small"), encoding="utf-8")
    return path


def test_the_report_needs_no_network(chromium: Browser, written: Path) -> None:
    context = chromium.new_context(offline=True)
    page = context.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(written.as_uri())
    expect(page.get_by_role("heading", level=2)).to_have_count(len(rows()))
    expect(page.locator(".main-svg").first).to_be_visible()
    page.get_by_text("Table", exact=True).first.click()
    expect(page.get_by_role("table").first).to_be_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
    context.close()
