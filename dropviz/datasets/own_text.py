"""A person's own text: one plain file, uploaded or in the mounted folder."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import ClassVar, Literal

from pydantic import Field

from dropviz import uploads
from dropviz.choices import SpecError, shown
from dropviz.datasets.dataset import Dataset, Text
from dropviz.datasets.texts import described, of_one_text, unigram_reference
from dropviz.task import Task, language
from dropviz.text import TOKENIZERS

FEWEST_TOKENS = 1000


class OwnText(Dataset):
    """One running text, split contiguously: 80 % for training, 10 % for validation, 10 % for the test."""

    name: Literal["text"] = "text"
    file: str = Field(
        "",
        max_length=1000,
        title="File",
        description="SHA-256 of an uploaded file, or the path of a file below the folder that DROPVIZ_FILES names.",
    )
    tokens: Literal["word", "character"] = Field(
        "word", title="Tokens", description="Lower-cased words and punctuation marks, or characters."
    )
    vocabulary: int = Field(
        10_000,
        ge=50,
        le=50_000,
        title="Vocabulary",
        description="The most frequent tokens of the training text; all others are <unk>.",
    )

    title: ClassVar[str] = "Your own text"
    origin: ClassVar[str] = "a file of yours"
    licence: ClassVar[str] = "yours"

    @property
    def task(self) -> Task:
        """The next word or character."""
        return language(self.vocabulary if self.missing() else len(self.load(0).vocabulary), self.tokens)

    def pinned(self) -> Dataset:
        """The file as it is now, kept under its hash: one below a mounted folder may change at any time."""
        if self.missing() or uploads.is_upload(self.file):
            return self
        return self.model_copy(update={"file": uploads.keep(uploads.read(self.file, "text"), "text")})

    def missing(self) -> str:
        """What is wrong with the file, or with its name."""
        try:
            self.load(0)
        except ValueError as error:  # or with the settings
            return str(error)
        return ""

    def source(self) -> str:
        """SHA-256 of the file; empty where it cannot be read."""
        if uploads.is_upload(self.file):
            return self.file
        try:
            return hashlib.sha256(uploads.read(self.file, "text")).hexdigest()
        except ValueError:
            return ""

    def load(self, seed: int) -> Text:
        """The same text for all seeds.

        Raises:
            SpecError: There is no such file, or it is not UTF-8, holds a NUL byte, or is too short or too large.
        """
        if uploads.is_upload(self.file):
            uploads.path_of(self.file)
            return _of_upload(self.file, self.tokens, self.vocabulary)
        return _text(self.file, uploads.read(self.file, "text"), self.tokens, self.vocabulary)

    def tokens_described(self) -> str:
        """Size and tokenizer."""
        return described(self.task, TOKENIZERS[self.tokens])

    def references(self, seed: int) -> dict[str, float]:
        """The training text's unigram on the validation text, in nats a token."""
        return unigram_reference(self.load(seed))


@lru_cache(maxsize=8)
def _of_upload(digest: str, tokens: Literal["word", "character"], max_size: int) -> Text:
    """Its bytes never change, so they need not be read again for each seed."""
    return _text(digest, uploads.read(digest, "text"), tokens, max_size)


@lru_cache(maxsize=8)
def _text(file: str, content: bytes, tokens: Literal["word", "character"], max_size: int) -> Text:
    text = of_one_text(read(file, content), train=0.8, tokenizer=TOKENIZERS[tokens], max_size=max_size)
    length = len(text.train) + len(text.validation) + len(text.test)
    if length < FEWEST_TOKENS:
        raise SpecError(
            f"{shown(file)} has {length:,} {tokens}s: choose a text of at least {FEWEST_TOKENS:,}."
        )
    return text


def read(file: str, content: bytes) -> str:
    """The text of a plain file, its line ends made one line feed each and a byte order mark taken off.

    Raises:
        SpecError: It is not UTF-8, or holds a NUL byte.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{shown(file)} is not UTF-8: byte {error.start:,} ({content[error.start]:#04x}, "
            f"line {_line(content, error.start):,}) does not fit: save it as UTF-8."
        ) from None
    if (place := content.find(0)) >= 0:
        raise SpecError(
            f"{shown(file)} is not plain text: byte {place:,} (line {_line(content, place):,}) is NUL: "
            "choose a text file."
        )
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _line(content: bytes, place: int) -> int:
    return content.count(b"\n", 0, place) + 1
