"""A vocabulary: the tokens that have a number, and how text is put together from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dropviz.text.tokenizers import END_OF_LINE, Tokenizer

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

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest unsigned type that holds every number, of 16 bits or 32."""
        return np.dtype(np.uint16 if len(self) <= 2**16 else np.uint32)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of each token."""
        return {token: number for number, token in enumerate(self.tokens)}

    def encode(self, tokens: Iterable[str]) -> np.ndarray:
        """Numbers of these tokens (tokens,), in the vocabulary's ``dtype``.

        Raises:
            KeyError: A token is not in the vocabulary, and the vocabulary has no ``<unk>`` to stand for it.
        """
        numbers = self.numbers
        if UNKNOWN not in numbers:
            return np.fromiter((numbers[token] for token in tokens), self.dtype)
        unknown = numbers[UNKNOWN]
        return np.fromiter((numbers.get(token, unknown) for token in tokens), self.dtype)

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of these tokens, with a new line for each ``<eos>``."""
        lines: list[list[str]] = [[]]
        for number in numbers:
            token = self.tokens[number]
            if token == END_OF_LINE:
                lines.append([])
            else:
                lines[-1].append(token)
        return "\n".join(self.separator.join(line) for line in lines)


def vocabulary_of(counts: Mapping[str, int], tokenizer: Tokenizer, max_size: int) -> Vocabulary:
    """``<unk>``, then the most frequent tokens of a training text, in alphabetical order where they are equally frequent.

    Args:
        counts: How often each token stands in the training text; its own ``<unk>`` tokens stay ``<unk>``.
        tokenizer: What cut it.
        max_size: The most tokens, ``<unk>`` among them; every other one becomes ``<unk>``.
    """
    known = sorted((token for token in counts if token != UNKNOWN), key=lambda token: (-counts[token], token))
    rule = f"all others {UNKNOWN}" if len(known) >= max_size else f"those not in the training text {UNKNOWN}"
    return Vocabulary(
        tokens=(UNKNOWN, *known[: max_size - 1]),
        tokenizer=f"{tokenizer.description}; {rule}",
        separator=tokenizer.separator,
    )
