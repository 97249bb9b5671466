"""Tiny Shakespeare, 1.1 MB out of his plays (Karpathy 2015), by default character by character."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from dropviz.choices import SpecError
from dropviz.datasets.dataset import Dataset, Text
from dropviz.datasets.texts import described, of_one_text, unigram_reference
from dropviz.downloads import RemoteFile
from dropviz.task import Task, language
from dropviz.text import TOKENIZERS


class TinyShakespeare(Dataset):
    """One running text, split contiguously: 90 % for training, 5 % for validation, 5 % for the test."""

    name: Literal["tiny-shakespeare"] = "tiny-shakespeare"
    tokens: Literal["character", "word"] = Field(
        "character", title="Tokens", description="Characters, or lower-cased words and punctuation marks."
    )
    vocabulary: int = Field(
        10_000,
        ge=50,
        le=20_000,
        title="Vocabulary",
        description="The most frequent tokens of the training text; all others are <unk>. There are 65 characters.",
    )

    title: ClassVar[str] = "Tiny Shakespeare (characters)"
    origin: ClassVar[str] = "download (raw.githubusercontent.com)"
    licence: ClassVar[str] = "public domain"
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            size=1_115_394,
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        ),
    )
    types: ClassVar[dict[str, int]] = {"character": 66, "word": 10_837}  # of the training text, and <unk>

    @property
    def task(self) -> Task:
        """The next character or word."""
        return language(min(self.vocabulary, self.types[self.tokens]), self.tokens)

    def load(self, seed: int) -> Text:
        """The same text for all seeds."""
        return _text(self.fetched(self.files[0]), self.tokens, self.vocabulary)

    def tokens_described(self) -> str:
        """Size and tokenizer."""
        return described(self.task, TOKENIZERS[self.tokens])

    def references(self, seed: int) -> dict[str, float]:
        """The training text's unigram on the validation text, in nats a token."""
        return unigram_reference(self.load(seed))


@cache
def _text(path: Path, tokens: Literal["word", "character"], max_size: int) -> Text:
    try:
        content = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is damaged ({error}): remove it, then fetch it again.") from error
    return of_one_text(content, train=0.9, tokenizer=TOKENIZERS[tokens], max_size=max_size)
