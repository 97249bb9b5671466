"""A vocabulary: the tokens that have a number, and how text is put together from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

UNKNOWN = "<unk>"  # stands for every token that has no number of its own


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Tokens by number, made of the training split alone.

    Attributes:
        tokens: Token of each number.
        tokenizer: How text is cut, in a few words, as the page shows it beside every perplexity.
        separator: What stands between two tokens of a text.
    """

    tokens: tuple[str, ...]
    tokenizer: str
    separator: str = " "

    def __len__(self) -> int:
        return len(self.tokens)

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of these tokens."""
        return self.separator.join(self.tokens[number] for number in numbers)
