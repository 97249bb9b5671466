"""Texts larger than memory as token numbers: read once, line by line, into one file that is memory-mapped.

The file holds running texts and their vocabulary::

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
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count, islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np

from dropviz.text.tokenizers import Tokenizer
from dropviz.text.vocabulary import Vocabulary, vocabulary_of

Lines = Callable[[], Iterable[str]]  # opens a text
Encoded = tuple[list[np.ndarray], Vocabulary]

HEADER = struct.Struct("<8sQQ")
MAGIC = b"DropViz1"
LINES_AT_ONCE = 10_000
TOKENS_AT_ONCE = 2**20
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

    Costs a pass over the texts, in which tokens are numbered as they come, and one over these numbers, in which they
    become those of the vocabulary; memory for the different tokens and for a few thousand lines; on the disk, for as
    long as it takes, four bytes a token more.

    Args:
        path: The file to keep the numbers in; only one process at a time makes files in its folder.
        key: What identifies the texts, such as the hash of their file; a file made under another key is made anew.
        train: Opens the training text.
        held_out: Open the further texts.
        tokenizer: Cuts one line.
        max_size: The most tokens of the vocabulary, which is always that of the whole training text.
        share: Of the training text's tokens, what to keep, from its beginning.

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
                with TemporaryFile(dir=path.parent) as numbered:
                    tokens, lengths = _number(numbered, [train, *held_out], tokenizer)
                    vocabulary, table = _ranked(numbered, tokens, lengths[0], tokenizer, max_size)
                    _write(path, key, numbered, lengths, share, vocabulary, table)
                encoded = _open(path, key)
                assert encoded is not None, "what was just written can be read"
    return encoded


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is at it; the kernel gives the lock back however its holder ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _number(numbered: BinaryIO, texts: Sequence[Lines], tokenizer: Tokenizer) -> tuple[list[str], list[int]]:
    """Write the texts as four-byte numbers in the order of each token's first place; the tokens, and the texts' lengths."""
    numbers = defaultdict[str, int](count().__next__)
    lengths = []
    for opened in texts:
        length, lines = 0, iter(opened())
        while batch := list(islice(lines, LINES_AT_ONCE)):
            cut = array("I", map(numbers.__getitem__, chain.from_iterable(map(tokenizer.cut, batch))))
            numbered.write(cut)
            length += len(cut)
        lengths.append(length)
    return list(numbers), lengths


def _ranked(
    numbered: BinaryIO, tokens: list[str], length: int, tokenizer: Tokenizer, max_size: int
) -> tuple[Vocabulary, np.ndarray]:
    """The vocabulary of the first ``length`` tokens, and its number for each provisional one."""
    numbered.seek(0)
    counts = np.zeros(len(tokens), dtype=np.int64)
    for part in _parts(numbered, length):
        counts += np.bincount(part, minlength=len(tokens))
    counted = {token: int(n) for token, n in zip(tokens, counts, strict=True) if n}
    vocabulary = vocabulary_of(counted, tokenizer, max_size)
    return vocabulary, vocabulary.encode(tokens)


def _parts(numbered: BinaryIO, length: int) -> Iterator[np.ndarray]:
    """The next ``length`` provisional numbers, a part at once."""
    while length:
        part = np.frombuffer(numbered.read(4 * min(length, TOKENS_AT_ONCE)), np.uint32)
        yield part
        length -= len(part)


def _write(
    path: Path,
    key: str,
    numbered: BinaryIO,
    lengths: list[int],
    share: float,
    vocabulary: Vocabulary,
    table: np.ndarray,
) -> None:
    part = path.with_suffix(".part")  # what a killed process leaves of it is written over by the next one
    starts = [sum(lengths[:text]) for text in range(len(lengths))]
    kept = [math.ceil(share * lengths[0]), *lengths[1:]]
    try:
        with part.open("wb") as file:
            file.write(bytes(HEADER.size))
            checksum = 0
            for start, length in zip(starts, kept, strict=True):
                numbered.seek(4 * start)
                for numbers in _parts(numbered, length):
                    encoded = table[numbers]
                    file.write(encoded)
                    checksum = zlib.crc32(encoded, checksum)
            _describe(file, key, kept, vocabulary, checksum)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _describe(file: BinaryIO, key: str, lengths: list[int], vocabulary: Vocabulary, checksum: int) -> None:
    """Write the description at the end, then the header; only then is the file one that can be opened."""
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
    lengths = description["lengths"]
    stored = np.memmap(path, vocabulary.dtype, mode="r", offset=HEADER.size, shape=(sum(lengths),))
    return np.split(stored, np.cumsum(lengths)[:-1]), vocabulary


def _checksum(file: BinaryIO) -> int:
    checksum = 0
    while content := file.read(BYTES_AT_ONCE):
        checksum = zlib.crc32(content, checksum)
    return checksum
