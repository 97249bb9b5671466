"""Texts that fit into memory, as token numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from dropviz.text.tokenizers import Tokenizer
from dropviz.text.vocabulary import Vocabulary, vocabulary_of


def encode(
    train: Sequence[str], *held_out: Sequence[str], tokenizer: Tokenizer, max_size: int
) -> tuple[list[np.ndarray], Vocabulary]:
    """Token numbers of a training text and of held-out ones, by the vocabulary of the training text.

    Args:
        train: Tokens of the training text, as ``tokenizer`` cut them.
        held_out: Tokens of further texts; what the training text does not have is ``<unk>``.
        tokenizer: What cut them.
        max_size: The most tokens of the vocabulary.

    Returns:
        The texts in their order, each (tokens,); the vocabulary.
    """
    vocabulary = vocabulary_of(Counter(train), tokenizer, max_size)
    return [vocabulary.encode(tokens) for tokens in (train, *held_out)], vocabulary
