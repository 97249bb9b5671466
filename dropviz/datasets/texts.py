"""What the data sets of real text share: cutting one text in three, and reading texts line by line."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from dropviz.choices import SpecError
from dropviz.datasets.dataset import Text
from dropviz.task import Task
from dropviz.text import (
    LINES,
    UNKNOWN,
    Tokenizer,
    encode,
    encode_lines,
    file_lines,
    member_lines,
    unigram_loss,
)

Lines = Callable[[], Iterable[str]]


def of_tokens(
    train: list[str], validation: list[str], test: list[str], *, tokenizer: Tokenizer, max_size: int
) -> Text:
    """Three texts that fit into memory, by the vocabulary of the first; see ``text.encode``."""
    (one, two, three), vocabulary = encode(train, validation, test, tokenizer=tokenizer, max_size=max_size)
    return Text(train=one, validation=two, test=three, vocabulary=vocabulary)


def of_one_text(content: str, *, train: float, tokenizer: Tokenizer, max_size: int) -> Text:
    """One text, split contiguously: this share of its tokens for training, then the rest in halves."""
    tokens = tokenizer.cut(content)
    first = round(train * len(tokens))
    second = (first + len(tokens)) // 2
    return of_tokens(
        tokens[:first], tokens[first:second], tokens[second:], tokenizer=tokenizer, max_size=max_size
    )


def of_files(paths: tuple[Path, Path, Path], source: str, *, max_size: int) -> Text:
    """Three files whose lines end in ``<eos>``, encoded once into a file beside them; see ``text.encode_lines``.

    Raises:
        SpecError: One of them is damaged, or there is no room for the encoded text.
    """
    return _of_lines(paths[0], source, [partial(file_lines, path) for path in paths], max_size=max_size)


def of_archive(
    archive: Path,
    members: tuple[str, str, str],
    source: str,
    *,
    max_size: int,
    share: float = 1.0,
    sha1: Sequence[str] = (),
) -> Text:
    """The same for three files in a zip archive, which is never unpacked; their SHA-1 is checked where it is given."""
    with _whole(archive):
        for member, expected in zip(members, sha1, strict=bool(sha1)):
            with zipfile.ZipFile(archive) as opened:
                found = hashlib.sha1(opened.read(member)).hexdigest()
            if found != expected:
                raise EOFError(f"the SHA-1 of {member} is {found}, expected is {expected}")
    lines = [partial(member_lines, archive, member) for member in members]
    return _of_lines(archive, source, lines, max_size=max_size, share=share)


def _of_lines(path: Path, source: str, opened: Sequence[Lines], *, max_size: int, share: float = 1.0) -> Text:
    digest = hashlib.sha256(json.dumps([source, max_size, share]).encode()).hexdigest()[:16]
    kept = path.with_name(f"encoded-{digest}")
    with _whole(path):
        (train, validation, test), vocabulary = encode_lines(
            kept, source, *opened, tokenizer=LINES, max_size=max_size, share=share
        )
    return Text(train=train, validation=validation, test=test, vocabulary=vocabulary)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Say what to do where a fetched file cannot be read to its end, or what was made of it not be kept."""
    try:
        yield
    except (UnicodeDecodeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SpecError(f"{path} is damaged ({error}): remove it, then fetch it again.") from error
    except OSError as error:
        raise SpecError(
            f"The encoded text cannot be kept in {path.parent} ({error}): make room, or set DROPVIZ_CACHE."
        ) from error


def described(task: Task, tokenizer: Tokenizer) -> str:
    """A vocabulary in words, such as ``2,000 words: lower-cased words and punctuation marks, others <unk>``."""
    how = "" if task.token == "character" else f": {tokenizer.description}"
    return f"{task.outputs:,} {task.token}s{how}, others {UNKNOWN}"


def unigram_reference(text: Text) -> dict[str, float]:
    """``unigram/loss``: of the training text's unigram on the validation text, in nats a token."""
    return {"unigram/loss": unigram_loss(text.train, text.validation, len(text.vocabulary))}
