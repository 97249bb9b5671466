"""A press is heard though another run of the script overtakes the one that was told of it; and heard once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dropviz.web import presses


def page() -> None:
    import streamlit as st

    from dropviz.web.presses import answered, noted, pressed

    def count(what: str) -> None:
        st.session_state[what] = st.session_state.get(what, 0) + 1

    if st.session_state.pop("overtaken", False):
        st.rerun()
    if st.button("Streamlit's own", key="own"):
        count("own_heard")
    if pressed("Go", key="go"):
        count("go_heard")
    late = noted("Later", key="later")
    if st.session_state.pop("overtaken_late", False):
        st.rerun()
    if late:
        answered("later")
        count("later_heard")


def heard(app: AppTest, what: str) -> int:
    return app.session_state[what] if what in app.session_state else 0  # noqa: SIM401 - it has no get


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_function(page).run()


@pytest.mark.parametrize("key", ["own", "go", "later"])
def test_a_press_is_heard_once(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert heard(app, f"{key}_heard") == 1
    app.run()
    assert heard(app, f"{key}_heard") == 1


@pytest.mark.parametrize(("key", "times"), [("own", 0), ("go", 1), ("later", 1)])
def test_a_press_is_heard_by_the_run_that_overtakes(app: AppTest, key: str, times: int) -> None:
    app.session_state["overtaken"] = True
    app.button(key=key).click().run()
    assert heard(app, f"{key}_heard") == times


def test_what_is_done_at_the_end_of_a_page_is_asked_for_until_it_is_done(app: AppTest) -> None:
    app.session_state["overtaken_late"] = True
    app.button(key="later").click().run()
    assert heard(app, "later_heard") == 1


def test_an_old_press_is_not_heard_later(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presses, "STALE_SECONDS", 0.0)
    app.button(key="go").click().run()
    assert heard(app, "go_heard") == 0


def test_no_page_asks_streamlit_itself_whether_a_button_was_pressed() -> None:
    web = Path(presses.__file__).parent
    asked = re.compile(r"(\bif|\bnot|\band|\bor|\breturn|=)\s+\(?st\.button\(")
    files = [path for path in web.rglob("*.py") if asked.search(path.read_text("utf-8"))]
    assert files == []
