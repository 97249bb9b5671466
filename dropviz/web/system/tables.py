"""Tables of the System page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dropviz.web.plain import plain_lines

MOST_SHOWN = 300  # characters of a text in a cell


def table(lines: list[dict[str, Any]], alt: str, *, header: bool = True) -> None:
    """Lines under the names of their first one, each cell as it is; ``alt`` says to who cannot see it what it is."""
    # As text, since mixed types cost conversions.
    st.table(plain_lines(lines), border="horizontal", hide_index=True, hide_header=not header, alt=alt)


def cut(text: str) -> str:
    """What of a text stands in a cell."""
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def of(count: int, what: str) -> str:
    """``1 job``, ``3 jobs``."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")
