"""Tables of the System page."""

from __future__ import annotations

from typing import Any

import streamlit as st


def table(lines: list[dict[str, Any]], alt: str, *, header: bool = True) -> None:
    """Lines under the names of their first one; ``alt`` says to who cannot see it what it is."""
    cells = [
        {name: str(value) for name, value in line.items()} for line in lines
    ]  # mixed types cost conversions
    st.table(cells, border="horizontal", hide_index=True, hide_header=not header, alt=alt)


def of(count: int, what: str) -> str:
    """``1 job``, ``3 jobs``."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")
