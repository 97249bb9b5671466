"""Text that somebody typed, for places where Streamlit reads markdown: it is shown as it is, and turns nothing around."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

LINE_ENDS = "\n\t"
MARKS = re.compile(r"([\\`*_{}\[\]()#+.!|<>~:$-])")  # what markdown or Streamlit's additions to it may act on
# Addresses become links in spite of backslashes, so they are cut by a mark that has no width and joins words.
ADDRESSES = re.compile(r"(https?:)(?=//)|(www)(?=\.)|@(?=[-\w]+\.)", re.IGNORECASE)
CUT = "\u2060"


def plain(text: str) -> str:
    """The text with a backslash before each mark, and without what cannot be printed or changes the direction of writing.

    What looks like an address does not become a link: nobody leads others elsewhere by a name or a note.
    """
    shown = "".join(one for one in text if one.isprintable() or one in LINE_ENDS)
    return MARKS.sub(r"\\\1", ADDRESSES.sub(rf"\g<0>{CUT}", shown))


def plain_lines(lines: Iterable[Mapping[str, object]]) -> list[dict[str, str]]:
    """The same for ``st.table``, whose heads and cells are markdown, too."""
    return [{plain(head): plain(str(cell)) for head, cell in line.items()} for line in lines]
