"""Text that somebody typed, for places where Streamlit reads markdown: it is shown as it is, and turns nothing around."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

LINE_ENDS = "\n\t"
INDENTED = re.compile(r"^[ \t]+", re.MULTILINE)  # markdown has a meaning for it, so of these one space stays
CUT = "\u2060"  # joins words, has no width, and stands between two characters that would mean something together

# A label is also read aloud, backslashes and all, so there is none where a mark has no meaning: "p=.5", "two-moons", "train_size".
ESCAPED = re.compile(
    r"""
      [\\`*\[\]|<~$&]                            # emphasis, code, links, tables, HTML, formulas, entities
    | (?<![^\W_])_ | _(?![^\W_])                 # emphasis, which an underscore within a word is not
    | :(?=[a-z+-])                               # a colour, an emoji
    | (?:^|(?<=^[ ]))(?:[#>=]|[+-](?=\s|$))      # a heading, a quotation, a list, the line below a heading
    """,
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
# What backslashes do not help against: Streamlit seeks addresses, icons and arrows after it has read them. And numbers of a list.
SOUGHT = re.compile(
    r"https?:(?=//) | www(?=\.) | @(?=[-\w]+\.) | :(?=[\w+-]+[:/]) | [<>~-](?=[>=-]) | ^[ ]?\d+(?=[.)](?:\s|$))",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)


def plain(text: str) -> str:
    """The text so that markdown shows it as it is, without what cannot be printed or changes the direction of writing.

    What looks like an address does not become a link: nobody leads others elsewhere by a name or a note.
    """
    shown = "".join(one for one in text if one.isprintable() or one in LINE_ENDS)
    return ESCAPED.sub(r"\\\g<0>", SOUGHT.sub(rf"\g<0>{CUT}", INDENTED.sub(" ", shown)))


def plain_lines(lines: Iterable[Mapping[str, object]]) -> list[dict[str, str]]:
    """The same for ``st.table``, whose heads and cells are markdown, too."""
    return [{plain(head): plain(str(cell)) for head, cell in line.items()} for line in lines]
