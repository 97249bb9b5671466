"""Buttons whose press is not lost. Streamlit tells of a press in one run of the script, and another run may overtake that one.

A live board reports that a state has changed while somebody presses Run: the script begins anew, and the run that knew of the press
ends before it came to the button. A callback is called in any case, so it notes the press, and the next run that draws the button
finds the note.
"""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

STALE_SECONDS = 10.0  # after which a press that nothing came of was meant for a page that is gone


def pressed(label: str, *, key: str, **look: Any) -> bool:
    """Draw a button; whether it was pressed, which is said once.

    Args:
        label: What is on it.
        key: Its key in Streamlit.
        look: What else ``st.button`` takes, but for a callback.
    """
    found = noted(label, key=key, **look)
    answered(key)
    return found


def noted(label: str, *, key: str, **look: Any) -> bool:
    """The same, but said again by each run until ``answered``: for what is done only after the rest of the page is drawn."""
    st.button(label, key=key, on_click=_note, args=(key,), **look)
    return time.monotonic() - st.session_state.get(_name(key), float("-inf")) < STALE_SECONDS


def answered(key: str) -> None:
    """What the button asks for is done now."""
    st.session_state.pop(_name(key), None)


def _note(key: str) -> None:
    st.session_state[_name(key)] = time.monotonic()


def _name(key: str) -> str:
    return f"pressed/{key}"
