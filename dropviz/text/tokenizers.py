"""How text is cut into tokens, and put together from them again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

END_OF_LINE = "<eos>"  # the token that ends each line of a text whose lines mean something

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """A way to cut text.

    Attributes:
        description: In a few words, for people; equal descriptions cut equally.
        separator: What stands between two tokens when text is put together.
        cut: Tokens of a text, in order.
    """

    description: str
    separator: str
    cut: Callable[[str], list[str]]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _line(line: str) -> list[str]:
    return [*line.split(), END_OF_LINE]


WORDS = Tokenizer(description="lower-cased words and punctuation marks", separator=" ", cut=_words)
CHARACTERS = Tokenizer(description="characters", separator="", cut=list)
LINES = Tokenizer(  # cuts one line at a time
    description=f"what stands between spaces, and {END_OF_LINE} after each line", separator=" ", cut=_line
)

TOKENIZERS: dict[Literal["word", "character"], Tokenizer] = {"word": WORDS, "character": CHARACTERS}
