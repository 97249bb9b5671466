"""The script that every session runs: the frame around the pages. Importing it does nothing."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dropviz.web.shown import PAGES

ICON = Path(__file__).with_name("icon.png")
WORDMARK = Path(__file__).with_name("wordmark.svg")
STYLE = Path(__file__).with_name("page.css")
SIDEBAR_WIDTH = 340  # pixels: three buttons with their keys fit side by side


def main() -> None:
    """Set up the window and run the page that the URL names."""
    st.logo(str(WORDMARK), size="large")
    st.html(STYLE)
    lab = st.Page(PAGES / "0_Lab.py", title="Lab", url_path="lab")
    curvature = st.Page(PAGES / "1_Curvature.py", title="Curvature", url_path="curvature")
    system = st.Page(PAGES / "2_System.py", title="System", url_path="system")
    # Streamlit serves its default page at / only, so that one is a door to the Lab, and /lab is a link to keep.
    door = st.Page(lambda: st.switch_page(lab), title="DropViz", default=True, visibility="hidden")
    page = st.navigation([door, lab, curvature, system], position="top")
    title = "DropViz" if page is door else f"{page.title} · DropViz"
    st.set_page_config(
        page_title=title, page_icon=str(ICON), layout="wide", initial_sidebar_state=SIDEBAR_WIDTH
    )
    page.run()


if __name__ == "__main__":
    main()
