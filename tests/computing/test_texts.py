"""Text as token numbers: cut, counted on the training text alone, encoded in memory or streamed to a file."""

from __future__ import annotations

import signal
import subprocess
import sys
import zipfile
from collections import Counter
from functools import partial
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropviz.text import (
    CHARACTERS,
    LINES,
    UNKNOWN,
    WORDS,
    Vocabulary,
    encode,
    encode_lines,
    file_lines,
    member_lines,
    streaming,
    unigram_loss,
    vocabulary_of,
)

ROOT = Path(__file__).resolve().parents[2]
TEXT = " the cat saw a <unk> \n \n the dog saw the cat \n a bird sang \n"
HELD_OUT = " a fish saw the bird \n"


def lines_of(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def cut(text: str) -> list[str]:
    return [token for line in lines_of(text) for token in LINES.cut(line)]


# Tokenizers.


def test_words_are_lower_cased_and_punctuation_stands_alone() -> None:
    assert WORDS.cut("The __init__() of\n Ärger: 3.5!") == [
        *("the", "__init__", "(", ")", "of", "ärger", ":", "3", ".", "5", "!")
    ]


def test_each_line_ends_with_a_token_of_its_own() -> None:
    assert LINES.cut(" = Title = \n") == ["=", "Title", "=", "<eos>"]
    assert LINES.cut(" \n") == ["<eos>"]


# Vocabularies.


def test_the_most_frequent_token_comes_first_and_equals_stand_in_alphabetical_order() -> None:
    counts = Counter(cut(TEXT))
    vocabulary = vocabulary_of(counts, LINES, 100)
    assert vocabulary.tokens == (UNKNOWN, "<eos>", "the", "a", "cat", "saw", "bird", "dog", "sang")
    again = vocabulary_of(dict(reversed(counts.items())), LINES, 100)
    assert again == vocabulary


def test_what_does_not_fit_into_the_vocabulary_is_unknown() -> None:
    (train, held_out), vocabulary = encode(cut(TEXT), cut(HELD_OUT), tokenizer=LINES, max_size=4)
    assert vocabulary.tokens == (UNKNOWN, "<eos>", "the", "a")
    assert vocabulary.decode(train) == "the <unk> <unk> a <unk>\n\nthe <unk> <unk> the <unk>\na <unk> <unk>\n"
    assert vocabulary.decode(held_out) == "a <unk> <unk> the <unk>\n"
    assert vocabulary.tokenizer == "what stands between spaces, and <eos> after each line; all others <unk>"


def test_the_vocabulary_is_the_training_texts_alone() -> None:
    (_, held_out), vocabulary = encode(cut(TEXT), cut(HELD_OUT), tokenizer=LINES, max_size=100)
    assert "fish" not in vocabulary.tokens
    assert vocabulary.decode(held_out) == "a <unk> saw the bird\n"
    assert vocabulary.tokenizer.endswith("; those not in the training text <unk>")


def test_a_vocabulary_without_unknown_takes_its_own_tokens_only() -> None:
    vocabulary = Vocabulary(tokens=("0", "1"), tokenizer="symbols")
    assert vocabulary.decode(vocabulary.encode(["1", "0"])) == "1 0"
    with pytest.raises(KeyError):
        vocabulary.encode(["2"])


@pytest.mark.parametrize(("size", "dtype"), [(2**16, np.uint16), (2**16 + 1, np.uint32)])
def test_numbers_take_two_bytes_while_they_fit(size: int, dtype: type) -> None:
    vocabulary = Vocabulary(tokens=tuple(map(str, range(size))), tokenizer="symbols")
    last = vocabulary.encode([str(size - 1)])
    assert (last.dtype, last[0]) == (dtype, size - 1)


@given(st.text(min_size=1))
def test_characters_come_back_as_they_were(text: str) -> None:
    (numbers,), vocabulary = encode(CHARACTERS.cut(text), tokenizer=CHARACTERS, max_size=10**6)
    assert vocabulary.decode(numbers) == text


@given(st.text())
def test_words_come_back_as_the_same_words(text: str) -> None:
    words = WORDS.cut(text)
    (numbers,), vocabulary = encode(words, tokenizer=WORDS, max_size=10**6)
    assert vocabulary.decode(numbers).split(" ") == (words or [""])


# The unigram.


def test_the_unigram_counts_every_token_once_more() -> None:
    train, held_out = np.array([0, 0, 1], np.uint16), np.array([0, 2, 2, 1], np.uint16)
    expected = -(log(3 / 7) + 2 * log(1 / 7) + log(2 / 7) + 0 * log(1 / 7)) / 4
    assert unigram_loss(train, held_out, 4) == pytest.approx(expected, rel=1e-12)


def test_the_unigram_of_a_long_text_is_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    train = np.random.default_rng(0).integers(0, 9, 1000).astype(np.uint16)
    whole = unigram_loss(train, train, 9)
    monkeypatch.setattr("dropviz.text.unigram.CHUNK", 7)
    assert unigram_loss(train, train, 9) == pytest.approx(whole, rel=1e-12)


# Streaming.


def streamed(path: Path, key: str = "texts", **choices: float) -> tuple[list[np.ndarray], Vocabulary]:
    return encode_lines(
        path,
        key,
        partial(lines_of, TEXT),
        partial(lines_of, HELD_OUT),
        tokenizer=LINES,
        **{"max_size": 100} | choices,
    )


def never() -> list[str]:
    raise AssertionError("the text was read again")


@pytest.mark.parametrize("max_size", [2, 5, 100])
@pytest.mark.parametrize("at_once", [1, 2, 10_000])
def test_streaming_gives_what_encoding_in_memory_gives(
    max_size: int, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "LINES_AT_ONCE", at_once)
    monkeypatch.setattr(streaming, "TOKENS_AT_ONCE", at_once)
    in_memory, vocabulary = encode(cut(TEXT), cut(HELD_OUT), tokenizer=LINES, max_size=max_size)
    from_file, same = streamed(tmp_path / "text", max_size=max_size)
    assert same == vocabulary
    for one, other in zip(from_file, in_memory, strict=True):
        assert isinstance(one, np.memmap)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_a_large_vocabulary_streams_four_bytes_a_token(tmp_path: Path) -> None:
    lines = [f"w{number} w0 \n" for number in range(70_000)]
    (train,), vocabulary = encode_lines(tmp_path / "text", "", lambda: lines, tokenizer=LINES, max_size=10**6)
    assert (train.dtype, len(vocabulary)) == (np.uint32, 70_002)
    assert vocabulary.decode(train) == "".join(line.replace(" \n", "\n") for line in lines)


def test_a_share_of_the_training_text_is_its_beginning_and_keeps_the_vocabulary(tmp_path: Path) -> None:
    (whole, held_out), vocabulary = streamed(tmp_path / "text")
    (part, same), unchanged = streamed(tmp_path / "text", share=0.5)
    assert unchanged == vocabulary
    assert len(part) == -(-len(whole) // 2)
    np.testing.assert_array_equal(part, whole[: len(part)])
    np.testing.assert_array_equal(same, held_out)


def test_an_encoded_text_is_read_from_its_file(tmp_path: Path) -> None:
    first, vocabulary = streamed(tmp_path / "text")
    second, same = encode_lines(tmp_path / "text", "texts", never, never, tokenizer=LINES, max_size=100)
    assert same == vocabulary
    assert [part.tolist() for part in second] == [part.tolist() for part in first]
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def shorten(content: bytearray) -> None:
    del content[-20:]


def empty(content: bytearray) -> None:
    content.clear()


def flip_a_token(content: bytearray) -> None:
    content[streaming.HEADER.size] ^= 1


def flip_the_place(content: bytearray) -> None:
    content[8] ^= 1


def someone_elses(content: bytearray) -> None:
    content[:] = b"PK\x03\x04 this is an archive and no encoded text at all"


@pytest.mark.parametrize("damage", [shorten, empty, flip_a_token, flip_the_place, someone_elses])
def test_a_damaged_file_is_made_anew(damage: object, tmp_path: Path) -> None:
    good, _ = streamed(tmp_path / "text")
    expected = [part.tolist() for part in good]
    content = bytearray((tmp_path / "text").read_bytes())
    damage(content)  # type: ignore[operator]
    (tmp_path / "text").write_bytes(content)
    again, _ = streamed(tmp_path / "text")
    assert [part.tolist() for part in again] == expected


@pytest.mark.parametrize("other", [{"key": "other texts"}, {"max_size": 5}, {"share": 0.5}])
def test_a_file_made_from_something_else_is_made_anew(other: dict, tmp_path: Path) -> None:
    streamed(tmp_path / "text", **other)
    parts, vocabulary = streamed(tmp_path / "text")
    assert vocabulary.decode(parts[0]).split() == TEXT.split()


def test_a_text_that_cannot_be_read_to_its_end_leaves_nothing_behind(tmp_path: Path) -> None:
    def breaks_off() -> object:
        yield from lines_of(TEXT)
        raise EOFError("the archive ends early")

    with pytest.raises(EOFError):
        encode_lines(tmp_path / "text", "", breaks_off, tokenizer=LINES, max_size=9)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


STOPS_HALF_WAY = """
import sys, time
from pathlib import Path
from dropviz.text import LINES, encode_lines, streaming
def lines():
    print("reading", flush=True)
    for number in range(50_000):
        yield f"w{number % 7} \\n"
def describe(*arguments):
    print("half way", flush=True)
    time.sleep(float(sys.argv[2]))
    whole(*arguments)
whole, streaming._describe = streaming._describe, describe
encode_lines(Path(sys.argv[1]), "texts", lines, tokenizer=LINES, max_size=100)
"""


@pytest.mark.parametrize("killed_while", ["reading", "half way"])
def test_a_killed_process_leaves_no_half_file_and_is_not_waited_for(
    killed_while: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", STOPS_HALF_WAY, str(tmp_path / "text"), "600"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() != f"{killed_while}\n":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
    assert not (tmp_path / "text").exists()
    if killed_while == "half way":
        assert (tmp_path / "text.part").stat().st_size > 0
    parts, vocabulary = streamed(tmp_path / "text")
    assert vocabulary.decode(parts[1]) == "a <unk> saw the bird\n"
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_of_two_processes_one_encodes_and_the_other_waits_for_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPS_HALF_WAY, str(tmp_path / "text"), "0.5"]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(printed) == ["", "reading\nhalf way\n"]


def test_only_the_line_feed_ends_a_line(tmp_path: Path) -> None:
    content = "one\rstill one\u2028and\x85still\ntwo\r\n"
    (tmp_path / "text").write_bytes(content.encode())
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("folder/member", content.encode())
    expected = ["one\rstill one\u2028and\x85still\n", "two\r\n"]
    assert list(file_lines(tmp_path / "text")) == expected
    assert list(member_lines(tmp_path / "zip", "folder/member")) == expected


# Size.


def zipf_archive(path: Path, *, megabytes: int, types: int) -> None:
    """A zip archive with a text of so many different words, frequent by Zipf's law, in lines like WikiText's."""
    random = np.random.default_rng(0)
    words = np.array([f"{np.base_repr(number, 36).lower()}x" for number in range(types)], dtype=object)
    share = np.cumsum(1 / np.arange(3.7, types + 3.7))
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("text", "w", force_zip64=True) as file,
    ):
        written = file.write((" ".join(words) + " \n").encode())
        while written < megabytes * 1_000_000:
            drawn = words[np.searchsorted(share, random.random((2000, 57)) * share[-1])]
            written += file.write("".join(" " + " ".join(line) + " \n" for line in drawn).encode())


ENCODE = """
import resource, sys, time
from functools import partial
from pathlib import Path
from dropviz.text import LINES, encode_lines, member_lines
folder, start = Path(sys.argv[1]), time.perf_counter()
opened = partial(member_lines, folder / "zip", "text")
(text,), vocabulary = encode_lines(folder / "text", "", opened, tokenizer=LINES, max_size=267_735)
seconds = time.perf_counter() - start
print(len(text), len(vocabulary), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, seconds)
"""


@pytest.mark.slow
def test_540_megabytes_of_text_are_encoded_in_little_memory(tmp_path: Path) -> None:
    zipf_archive(tmp_path / "zip", megabytes=540, types=267_733)
    command = [sys.executable, "-c", ENCODE, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    tokens, types, peak, seconds = map(float, done.stdout.split())
    print(f"\n{tokens:,.0f} tokens of {types:,.0f} types: {peak / 1024:,.0f} MB at most, {seconds:.0f} s")
    (tmp_path / "zip").unlink()
    (tmp_path / "text").unlink()
    assert types == 267_735
    assert tokens > 80_000_000
    assert peak < 2 * 1024 * 1024
