"""Text that somebody typed, for places where Streamlit reads markdown."""

from __future__ import annotations

import re

MARKS = re.compile(r"([\\`*_{}\[\]()#+.!|<>~:$-])")  # what markdown or Streamlit's additions to it may act on


def plain(text: str) -> str:
    """The text with a backslash before each mark, so that it is shown as it is, whatever it holds."""
    return MARKS.sub(r"\\\1", text)
