"""WikiText-2, two million words of good and featured articles (Merity, Xiong, Bradbury and Socher 2016)."""

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

MEMBERS = ("wikitext-2/wiki.train.tokens", "wikitext-2/wiki.valid.tokens", "wikitext-2/wiki.test.tokens")


class WikiText2(Dataset):
    """The official splits: 2,088,628 tokens for training, 217,646 for validation and 245,569 for the test."""

    name: Literal["wikitext-2"] = "wikitext-2"
    vocabulary: int = Field(
        10_000,
        ge=50,
        le=33_278,
        title="Vocabulary",
        description="The most frequent tokens of the training text; all others are <unk>. 33,278 is all of them.",
    )

    title: ClassVar[str] = "WikiText-2 (words)"
    origin: ClassVar[str] = "download (wikitext.smerity.com)"
    licence: ClassVar[str] = "CC BY-SA 3.0"
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            url="https://wikitext.smerity.com/wikitext-2-v1.zip",
            size=4_475_746,
            sha256="92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
        ),
    )
    sha1: ClassVar[tuple[str, ...]] = (  # of the members
        "863f29c46ef9d167fff4940ec821195882fe29d1",
        "0418625c8b4da6e4b5c7a0b9e78d4ae8f7ee5422",
        "c7b8ce0aa086fb34dab808c5c49224211eb2b172",
    )
    types: ClassVar[int] = 33_278  # of the training text, <unk> and <eos> among them

    @property
    def task(self) -> Task:
        """The next word."""
        return language(min(self.vocabulary, self.types), "word")

    def load(self, seed: int) -> Text:
        """The same text for all seeds."""
        return _text(self.fetched(self.files[0]), self.source(), self.sha1, self.vocabulary)

    def tokens_described(self) -> str:
        """Size and tokenizer."""
        return described(self.task, LINES)

    def references(self, seed: int) -> dict[str, float]:
        """The training text's unigram on the validation text, in nats a token."""
        return unigram_reference(self.load(seed))


@cache
def _text(archive: Path, source: str, sha1: tuple[str, ...], max_size: int) -> Text:
    return of_archive(archive, MEMBERS, source, max_size=max_size, sha1=sha1)
