"""Small files in the true formats of the text sets that are fetched, put where fetched files are kept."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dropviz.datasets import Dataset
from dropviz.datasets.ptb import PennTreebank
from dropviz.datasets.tiny_shakespeare import TinyShakespeare
from dropviz.datasets.wikitext_2 import WikiText2
from dropviz.datasets.wikitext_103 import WikiText103
from dropviz.downloads import RemoteFile
from dropviz.text import LINES, TOKENIZERS

LINES_OF = {"train": 400, "valid": 60, "test": 70}


@cache
def wiki_lines(split: str) -> str:
    """Articles of generated words in WikiText's form; held-out ones have words that the training text lacks."""
    random = np.random.default_rng(len(split))
    lines = []
    for number in range(LINES_OF[split]):
        words = [f"w{int(rank)}" for rank in random.zipf(1.5, size=8)]
        words += ["<unk>", "@-@", "Zürich"] if split == "train" else ["unseen", "<unk>"]
        lines.append(" \n" if number % 3 == 2 else f" {' '.join(words)} \n")
    return "".join([" \n", " = Title = \n", *lines])


def counted(text: str) -> list[str]:
    """All tokens of such lines."""
    return [token for line in text.split("\n")[:-1] for token in LINES.cut(line)]


def wiki_archive(folder: str, **changed: bytes | None) -> bytes:
    """A zip archive of the three splits, some of them changed or left out."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{folder}/", b"")
        for split in LINES_OF:
            content = changed.get(split, wiki_lines(split).encode())
            if content is not None:
                archive.writestr(f"{folder}/wiki.{split}.tokens", content)
    return stream.getvalue()


@cache
def play() -> str:
    """Lines of generated words in the form of a play."""
    random = np.random.default_rng(0)
    lines = [" ".join(f"w{int(rank)}" for rank in random.zipf(1.5, size=6)) for _ in range(300)]
    return "".join(f"Citizen:\n{line.capitalize()},\nHear!\n\n" for line in lines)


def put(kind: type[Dataset], contents: dict[str, bytes], folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make these the set's files, fetched into the cache already."""
    patch.setenv("DROPVIZ_CACHE", str(folder))
    files = []
    for name, content in contents.items():
        digest = hashlib.sha256(content).hexdigest()
        files.append(RemoteFile(url=f"http://127.0.0.1/{name}", size=len(content), sha256=digest))
        path = folder / kind().name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    patch.setattr(kind, "files", tuple(files))


def put_all(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Every fetched text set, small."""
    types = len(set(counted(wiki_lines("train"))))
    ptb = {f"ptb.{split}.txt": wiki_lines(split).encode() for split in LINES_OF}
    put(PennTreebank, ptb, folder, patch)
    put(WikiText2, {"wikitext-2-v1.zip": wiki_archive("wikitext-2")}, folder, patch)
    put(WikiText103, {"wikitext-103-v1.zip": wiki_archive("wikitext-103")}, folder, patch)
    put(TinyShakespeare, {"input.txt": play().encode()}, folder, patch)
    for kind in (PennTreebank, WikiText2, WikiText103):
        patch.setattr(kind, "types", types)
    sha1 = tuple(hashlib.sha1(wiki_lines(split).encode()).hexdigest() for split in LINES_OF)
    patch.setattr(WikiText2, "sha1", sha1)
    patch.setattr(TinyShakespeare, "types", play_types())


@cache
def play_types() -> dict[str, int]:
    """Different characters and words of the play's first nine tenths, and ``<unk>``."""
    cut = {tokens: tokenizer.cut(play()) for tokens, tokenizer in TOKENIZERS.items()}
    return {tokens: len(set(text[: round(0.9 * len(text))])) + 1 for tokens, text in cut.items()}
