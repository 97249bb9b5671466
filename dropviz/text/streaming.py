"""Texts larger than memory as token numbers: two passes over their lines, into one file that is memory-mapped.

The file holds three running texts and their vocabulary::

    magic, place of the description, checksum | numbers of each text | description as JSON

It is written beside its place and renamed, so what has the right name is whole; what is nevertheless damaged, or was
made from something else, is made anew.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import struct
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice, repeat
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dropviz.text.tokenizers import Tokenizer
from dropviz.text.vocabulary import UNKNOWN, Vocabulary, vocabulary_of

Lines = Callable[[], Iterable[str]]  # opens a text anew
Encoded = tuple[list[np.ndarray], Vocabulary]

HEADER = struct.Struct("<8sQQ")
MAGIC = b"DropViz1"
LINES_AT_ONCE = 10_000
BYTES_AT_ONCE = 2**22


def encode_lines(
    path: Path,
    key: str,
    train: Lines,
    *held_out: Lines,
    tokenizer: Tokenizer,
    max_size: int,
    share: float = 1.0,
) -> Encoded:
    """Token numbers of texts that are read line by line, memory-mapped from ``path``, which is made if need be.

    Costs two passes over the training text and one over the others; memory for the training text's different tokens
    and for a few thousand lines.

    Args:
        path: The file to keep the numbers in; only one process at a time makes files in its folder.
        key: What identifies the texts, such as the hash of their file; a file made under another key is made anew.
        train: Opens the training text.
        held_out: Open the further texts.
        tokenizer: Cuts one line.
        max_size: The most tokens of the vocabulary, which is always that of the whole training text.
        share: Of the training text, what to keep: lines from its beginning until they hold that share of its tokens.

    Returns:
        The texts in their order, each (tokens,) uint16 or uint32, only to be read; the vocabulary.
    """
    key = json.dumps([key, tokenizer.description, max_size, share])
    encoded = _open(path, key)
    if encoded is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.parent):
            encoded = _open(path, key)  # another process may have made it
            if encoded is None:
                counts = Counter[str]()
                for lines in _batches(train()):
                    counts.update(chain.from_iterable(map(tokenizer.cut, lines)))
                vocabulary = vocabulary_of(counts, tokenizer, max_size)
                texts = [(train, share * counts.total()), *((one, math.inf) for one in held_out)]
                _write(path, key, vocabulary, tokenizer, texts)
                encoded = _open(path, key)
                assert encoded is not None, "what was just written can be read"
    return encoded


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    lines = iter(lines)
    while batch := list(islice(lines, LINES_AT_ONCE)):
        yield batch


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is at it; the kernel gives the lock back however its holder ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(
    path: Path, key: str, vocabulary: Vocabulary, tokenizer: Tokenizer, texts: list[tuple[Lines, float]]
) -> None:
    part = path.with_suffix(".part")  # what a killed process leaves of it is written over by the next one
    try:
        with part.open("wb") as file:
            _fill(file, key, vocabulary, tokenizer, texts)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _fill(
    file: BinaryIO, key: str, vocabulary: Vocabulary, tokenizer: Tokenizer, texts: list[tuple[Lines, float]]
) -> None:
    file.write(bytes(HEADER.size))
    checksum, lengths = 0, []
    for lines, most in texts:
        length = 0
        for numbers in _numbers(lines(), vocabulary, tokenizer, most):
            file.write(numbers)
            checksum = zlib.crc32(numbers, checksum)
            length += len(numbers)
        lengths.append(length)
    place = file.tell()
    description = {
        "key": key,
        "lengths": lengths,
        "tokens": vocabulary.tokens,
        "tokenizer": vocabulary.tokenizer,
        "separator": vocabulary.separator,
    }
    content = json.dumps(description).encode()
    file.write(content)
    file.seek(0)
    file.write(HEADER.pack(MAGIC, place, zlib.crc32(content, checksum) ^ place))
    file.flush()
    os.fsync(file.fileno())


def _numbers(
    lines: Iterable[str], vocabulary: Vocabulary, tokenizer: Tokenizer, most: float
) -> Iterator[array[int]]:
    """The numbers of a text, some thousand lines at once, up to the line that reaches ``most`` tokens."""
    number, unknown = vocabulary.numbers.get, vocabulary.numbers[UNKNOWN]
    length = 0
    for batch in _batches(lines):
        numbers = array(vocabulary.dtype.char)
        for line in batch:
            if length + len(numbers) >= most:
                break
            numbers.extend(map(number, tokenizer.cut(line), repeat(unknown)))
        yield numbers
        length += len(numbers)
        if length >= most:
            return


def _open(path: Path, key: str) -> Encoded | None:
    """What the file holds; None where there is none, or it is damaged, or made under another key."""
    try:
        with path.open("rb") as file:
            magic, place, checksum = HEADER.unpack(file.read(HEADER.size))
            if magic != MAGIC or _checksum(file) ^ place != checksum:
                return None
            file.seek(place)
            description = json.load(file)
    except (OSError, struct.error):
        return None
    if description["key"] != key:
        return None
    vocabulary = Vocabulary(
        tokens=tuple(description["tokens"]),
        tokenizer=description["tokenizer"],
        separator=description["separator"],
    )
    stored = np.memmap(
        path, vocabulary.dtype, mode="r", offset=HEADER.size, shape=(sum(description["lengths"]),)
    )
    return np.split(stored, np.cumsum(description["lengths"])[:-1]), vocabulary


def _checksum(file: BinaryIO) -> int:
    checksum = 0
    while content := file.read(BYTES_AT_ONCE):
        checksum = zlib.crc32(content, checksum)
    return checksum
