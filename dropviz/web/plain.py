"""Text that somebody typed, for places where Streamlit reads markdown: it is shown as it is, and turns nothing around."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

LINE_ENDS = "\n\t"
MARKS = re.compile(r"([\\`*_{}\[\]()#+.!|<>~:$-])")  # what markdown or Streamlit's additions to it may act on


def plain(text: str) -> str:
    """The text with a backslash before each mark, and without what cannot be printed or changes the direction of writing."""
    return MARKS.sub(r"\\\1", "".join(one for one in text if one.isprintable() or one in LINE_ENDS))


def plain_lines(lines: Iterable[Mapping[str, object]]) -> list[dict[str, str]]:
    """The same for ``st.table``, whose heads and cells are markdown, too."""
    return [{plain(head): plain(str(cell)) for head, cell in line.items()} for line in lines]
