"""The Python language reference: English prose that comes with every Python, in ``pydoc_data.topics``."""

from __future__ import annotations

import platform
from dataclasses import replace
from functools import cache
from itertools import accumulate
from typing import ClassVar, Literal

from pydantic import Field

from dropviz.choices import SpecError
from dropviz.datasets.dataset import Dataset, Text
from dropviz.datasets.texts import described, of_tokens, unigram_reference
from dropviz.streams import generator
from dropviz.task import Task, language
from dropviz.text import TOKENIZERS, WORDS

HELD_OUT = 0.1  # share of the words in the validation text at most, and in the test text
LARGEST = 1 / 3  # share of a held-out text that one topic may fill


class PythonReference(Dataset):
    """What ``help("if")`` shows, topic by topic: 114,000 words and marks in Python 3.11.

    Topics are dealt out whole, about 80 % of the text for training, 10 % for the test and 10 % for validation, in
    alphabetical order. But topics repeat each other: that on compound statements holds those on ``if``, ``try`` and ``with``,
    so part of what is held out was seen in training, and perplexities are low. Without ``repeats`` a topic is left out if at
    least half of it stands in longer ones, which leaves 92,000 words, and the held-out texts are made of many short topics
    from all over the alphabet.
    """

    name: Literal["python-reference"] = "python-reference"
    tokens: Literal["word", "character"] = Field(
        "word", title="Tokens", description="Lower-cased words and punctuation marks, or characters."
    )
    vocabulary: int = Field(
        2000,
        ge=50,
        le=20_000,
        title="Vocabulary",
        description="The most frequent tokens of the training text; all others are <unk>.",
    )

    repeats: bool = Field(
        True,
        title="Repeated topics",
        description="Keep topics that repeat others, so that some of the held-out text was seen in training; off, nothing was.",
    )

    downscale: float = Field(
        1.0,
        ge=0.01,
        le=1,
        title="Share of the training text",
        description="From its beginning; the held-out texts and the vocabulary stay whole.",
    )

    title: ClassVar[str] = "Python reference (English)"
    origin: ClassVar[str] = "Python's standard library"
    licence: ClassVar[str] = "PSF 2"

    @property
    def task(self) -> Task:
        """The next word or character."""
        known = self.vocabulary if self.missing() else len(self.load(0).vocabulary)
        return language(known, self.tokens)

    def missing(self) -> str:
        """Some distributions leave this part of the standard library out."""
        try:
            parts(repeats=self.repeats)
        except SpecError as error:
            return str(error)
        return ""

    def source(self) -> str:
        """The version of Python, with which the text changes."""
        return f"python {platform.python_version()}"

    def load(self, seed: int) -> Text:
        """The same text for all seeds."""
        return _text(self.tokens, self.vocabulary, self.downscale, repeats=self.repeats)

    def tokens_described(self) -> str:
        """Size and tokenizer."""
        return described(self.task, TOKENIZERS[self.tokens])

    def references(self, seed: int) -> dict[str, float]:
        """The training text's unigram on the validation text, in nats a token."""
        return unigram_reference(self.load(seed))


@cache
def _text(tokens: Literal["word", "character"], max_size: int, share: float, *, repeats: bool) -> Text:
    tokenizer = TOKENIZERS[tokens]
    train, validation, test = map(tokenizer.cut, parts(repeats=repeats))
    whole = of_tokens(train, validation, test, tokenizer=tokenizer, max_size=max_size)
    return replace(whole, train=whole.train[: round(share * len(whole.train))])


@cache
def parts(*, repeats: bool) -> tuple[str, str, str]:
    """The training, the validation and the test text.

    Raises:
        SpecError: This Python has no ``pydoc_data``.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise SpecError(
            "This Python comes without pydoc_data, the text of its reference: install the full standard library."
        ) from None
    dealt = in_order(topics) if repeats else deal(without_repeats(topics))
    train, validation, test = map("\n".join, dealt)
    return train, validation, test


def in_order(topics: dict[str, str]) -> tuple[list[str], list[str], list[str]]:
    """Texts of the topics for training, validation (the last tenth) and test, as their names come in the alphabet."""
    texts = [topics[name] for name in sorted(topics)]
    characters = [len(text) for text in texts]
    ends = [total / sum(characters) for total in accumulate(characters)]
    first, last = (sum(end < share + 1e-9 for end in ends) for share in (1 - 2 * HELD_OUT, 1 - HELD_OUT))
    return texts[:first], texts[last:], texts[first:last]


def without_repeats(topics: dict[str, str]) -> dict[str, str]:
    """The topics of which less than half, by paragraphs, stands in longer ones; in alphabetical order of their names."""
    kept, seen = {}, set[str]()
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        paragraphs = [" ".join(paragraph.lower().split()) for paragraph in topics[name].split("\n\n")]
        repeated = sum(len(paragraph) for paragraph in paragraphs if paragraph in seen)
        if 2 * repeated < sum(map(len, paragraphs)):
            kept[name] = topics[name]
        seen.update(paragraphs)
    return dict(sorted(kept.items()))


def deal(topics: dict[str, str]) -> tuple[list[str], list[str], list[str]]:
    """Texts of the topics for training, validation and test, in an order that neither alphabet nor seed decides."""
    texts = list(topics.values())
    words = [len(WORDS.cut(text)) for text in texts]
    room = HELD_OUT * sum(words)
    train, held_out, filled = list[str](), (list[str](), list[str]()), [0, 0]
    for topic in generator(0, "data/python-reference").permutation(len(texts)):
        emptier = filled.index(min(filled))
        if words[topic] <= LARGEST * room and filled[emptier] + words[topic] <= room:
            held_out[emptier].append(texts[topic])
            filled[emptier] += words[topic]
        else:
            train.append(texts[topic])
    return train, *held_out
