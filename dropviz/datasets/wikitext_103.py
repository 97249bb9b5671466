"""WikiText-103, a hundred million words of good and featured articles (Merity, Xiong, Bradbury and Socher 2016)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from dropviz.datasets.dataset import Dataset, Text
from dropviz.datasets.texts import described, of_archive, unigram_reference
from dropviz.downloads import RemoteFile
from dropviz.task import Task, language
from dropviz.text import LINES

MEMBERS = (
    "wikitext-103/wiki.train.tokens",
    "wikitext-103/wiki.valid.tokens",
    "wikitext-103/wiki.test.tokens",
)


class WikiText103(Dataset):
    """The official splits: 103,227,021 tokens for training, 217,646 for validation and 245,569 for the test.

    The vocabulary is that of the whole training text, however little of it is used: perplexities compare at the same
    vocabulary only. Reading the text takes a minute or two the first time, and a moment from then on.
    """

    name: Literal["wikitext-103"] = "wikitext-103"
    vocabulary: int = Field(
        10_000,
        ge=50,
        le=267_735,
        title="Vocabulary",
        description="The most frequent tokens of the training text; all others are <unk>. 267,735 is all of them.",
    )
    downscale: float = Field(
        1.0,
        ge=0.001,
        le=1,
        title="Share of the training text",
        description="From its beginning; the held-out texts and the vocabulary stay whole.",
    )

    title: ClassVar[str] = "WikiText-103 (words)"
    origin: ClassVar[str] = "download (wikitext.smerity.com)"
    licence: ClassVar[str] = "CC BY-SA 3.0"
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            url="https://wikitext.smerity.com/wikitext-103-v1.zip",
            size=190_229_076,
            sha256="242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590",
        ),
    )
    types: ClassVar[int] = 267_735  # of the training text, <unk> and <eos> among them

    @property
    def task(self) -> Task:
        """The next word."""
        return language(min(self.vocabulary, self.types), "word")

    def load(self, seed: int) -> Text:
        """The same text for all seeds, memory-mapped."""
        return _text(self.fetched(self.files[0]), self.source(), self.vocabulary, self.downscale)

    def tokens_described(self) -> str:
        """Size and tokenizer."""
        return described(self.task, LINES)

    def references(self, seed: int) -> dict[str, float]:
        """The training text's unigram on the validation text, in nats a token."""
        return unigram_reference(self.load(seed))


@cache
def _text(archive: Path, source: str, max_size: int, share: float) -> Text:
    return of_archive(archive, MEMBERS, source, max_size=max_size, share=share)
