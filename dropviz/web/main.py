"""The script that every session runs: the frame around the pages. Importing it does nothing."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from dropviz.web import login
from dropviz.web.shown import PAGES
from dropviz.web.turns import turn

ICON = Path(__file__).with_name("icon.png")
WORDMARK = Path(__file__).with_name("wordmark.svg")
STYLE = Path(__file__).with_name("page.css")
SIDEBAR_WIDTH = 340  # pixels: three buttons with their keys fit side by side


def main() -> None:
    """Set up the window and run the page that the URL names, when it is this script's turn."""
    with turn():
        _draw()


def _draw() -> None:
    st.logo(str(WORDMARK), size="large")
    st.html(STYLE)
    pages = [_page(file) for file in sorted(PAGES.glob("[0-9]*.py"))]
    # Streamlit serves its default page at / only, so that one is a door to the Lab, and /lab is a link to keep.
    door = st.Page(lambda: st.switch_page(pages[0]), title="DropViz", default=True, visibility="hidden")
    closed = login.required() and login.current() is None
    page = st.navigation([door, *pages], position="hidden" if closed or st.context.is_embedded else "top")
    st.session_state["arrived"] = st.session_state.get("page") != page.url_path
    st.session_state["page"] = page.url_path
    title = "DropViz" if page is door else f"{page.title} · DropViz"
    st.set_page_config(
        page_title=title, page_icon=str(ICON), layout="wide", initial_sidebar_state=SIDEBAR_WIDTH
    )
    if closed:
        login.door()
        return
    page.run()
    if login.required():
        login.way_out()


def _page(file: Path) -> StreamlitPage:
    """A page by its file's name: ``2_What_if.py`` is What-if, third in the row, at /what-if."""
    title = file.stem.partition("_")[2].replace("_", "-")
    return st.Page(file, title=title, url_path=title.lower())


if __name__ == "__main__":
    main()
