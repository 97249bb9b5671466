"""Every language data set keeps the contract: three texts of equal lengths for all seeds, and losses to compare with."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from math import log
from pathlib import Path

import numpy as np
import pytest

from dropviz import uploads
from dropviz.choices import SpecError
from dropviz.datasets import Dataset, Text, ptb, python_reference, registry
from dropviz.datasets.hmm import Hmm
from dropviz.datasets.markov import Markov
from dropviz.datasets.own_text import OwnText
from dropviz.datasets.ptb import PennTreebank
from dropviz.datasets.python_reference import PythonReference
from dropviz.datasets.tiny_shakespeare import TinyShakespeare
from dropviz.datasets.wikitext_2 import WikiText2
from dropviz.datasets.wikitext_103 import WikiText103
from dropviz.text import UNKNOWN, WORDS, unigram_loss
from tests.computing import fetched_texts
from tests.computing.fetched_texts import counted, wiki_archive, wiki_lines

SPLITS = ("train", "validation", "test")
GENERATED = (Markov, Hmm)
FETCHED = (PennTreebank, WikiText2, WikiText103)
SETS = [kind for name, kind in registry.members.items() if name != "csv" and kind().task.kind == "language"]
every_set = pytest.mark.parametrize("kind", SETS, ids=lambda kind: kind.__name__)
every_fetched_set = pytest.mark.parametrize("kind", FETCHED, ids=lambda kind: kind.__name__)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of this test alone, with small fetched files and one upload in them."""
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("DROPVIZ_FILES", raising=False)
    fetched_texts.put_all(tmp_path / "cache", monkeypatch)
    return tmp_path


def made(kind: type[Dataset], **knobs: object) -> Dataset:
    if kind is OwnText:
        knobs = {"file": uploads.keep(fetched_texts.play().encode(), "text")} | knobs
    return kind.from_table({"name": kind.model_fields["name"].default} | knobs)


def loaded(data: Dataset, seed: int = 0) -> Text:
    text = data.load(seed)
    assert isinstance(text, Text)
    return text


# Contract.


@every_set
def test_the_task_is_known_and_right(kind: type[Dataset]) -> None:
    data = made(kind)
    task, text = data.task, loaded(data)
    assert (task.kind, task.shape) == ("language", ())
    assert task.token in ("word", "character", "symbol")
    assert task.outputs == len(text.vocabulary)
    for name in SPLITS:
        numbers = getattr(text, name)
        assert numbers.ndim == 1
        assert numbers.dtype.kind == "u"
        assert len(numbers) > 100
        assert numbers.max() < task.outputs


@every_set
def test_a_knob_bounds_the_vocabulary(kind: type[Dataset]) -> None:
    knob = "symbols" if kind in GENERATED else "vocabulary"
    data = made(kind, **{knob: 50})
    assert data.task.outputs == len(loaded(data).vocabulary)
    assert data.task.outputs <= 50


@every_set
def test_all_seeds_have_texts_of_the_same_lengths_and_share_what_is_the_same(kind: type[Dataset]) -> None:
    data = made(kind)
    one, other = loaded(data, 3), loaded(data, 4)
    again = loaded(data, 3)
    for name in SPLITS:
        assert len(getattr(one, name)) == len(getattr(other, name))
        np.testing.assert_array_equal(getattr(again, name), getattr(one, name))
        assert (getattr(one, name) is getattr(other, name)) == (kind not in GENERATED)
    assert one.vocabulary == other.vocabulary


@every_set
def test_the_unigram_is_a_reference_on_the_validation_text(kind: type[Dataset]) -> None:
    data = made(kind)
    text = loaded(data)
    size = len(text.vocabulary)
    references = data.references(0)
    assert references["unigram/loss"] == unigram_loss(text.train, text.validation, size)
    assert 0 < references["unigram/loss"] < log(size)
    assert ("optimum/loss" in references) == (kind in GENERATED)
    assert references.get("optimum/loss", 0) < references["unigram/loss"]


@every_set
def test_every_known_token_stands_in_the_training_text(kind: type[Dataset]) -> None:
    text = loaded(made(kind))
    if kind not in GENERATED:
        assert set(np.unique(text.train)) | {0} == set(range(len(text.vocabulary)))
        assert text.vocabulary.tokens[0] == UNKNOWN
        assert UNKNOWN in text.vocabulary.tokenizer


@every_set
def test_a_language_set_is_read_back_from_its_table(kind: type[Dataset]) -> None:
    data = made(kind)
    assert registry.read(data.to_table()) == data
    assert registry.read(data.name) == kind()


@every_set
def test_data_from_outside_is_identified(kind: type[Dataset]) -> None:
    assert made(kind).missing() == ""
    assert bool(made(kind).source()) == (kind not in GENERATED)


# The Python reference.


@pytest.fixture
def fresh_python_reference() -> Iterator[None]:
    python_reference.parts.cache_clear()
    yield
    python_reference.parts.cache_clear()


@pytest.mark.parametrize(("repeats", "least"), [(True, 100_000), (False, 70_000)])
def test_the_reference_is_split_by_topics_about_80_10_10(repeats: bool, least: int) -> None:
    words = [len(WORDS.cut(part)) for part in python_reference.parts(repeats=repeats)]
    shares = np.array(words) / sum(words)
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.04)
    assert sum(words) > least


def test_all_topics_are_dealt_out_in_alphabetical_order() -> None:
    topics = {name: f"{name} " * 10 for name in "jihgfedcba"}
    train, validation, test = python_reference.in_order(topics)
    assert [text[0] for text in [*train, *test, *validation]] == list("abcdefghij")
    assert [len(train), len(validation), len(test)] == [8, 1, 1]


def test_without_repeats_nothing_held_out_was_seen_in_training() -> None:
    from pydoc_data.topics import topics

    def runs(part: str) -> set[tuple[str, ...]]:
        words = WORDS.cut(part)
        return {tuple(words[start : start + 15]) for start in range(len(words) - 14)}

    train, validation, test = map(runs, python_reference.parts(repeats=False))
    assert len(validation & train) < 0.02 * len(validation)
    assert len(test & train) < 0.02 * len(test)
    assert len(runs(topics["try"]) & runs(topics["compound"])) > 0.9 * len(runs(topics["try"]))


def test_repeated_topics_are_left_out_and_the_longest_stays() -> None:
    topics = {"b": "one two\n\nthree", "a": "One  two\n\nthree\n\nfour", "c": "three\n\nsomething else"}
    assert python_reference.without_repeats(topics) == {"a": topics["a"], "c": topics["c"]}


@pytest.mark.usefixtures("fresh_python_reference")
def test_a_python_without_its_reference_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    python_reference._text.cache_clear()
    data = PythonReference()
    assert "comes without pydoc_data" in data.missing()
    assert data.missing().endswith("install the full standard library.")
    assert data.task.outputs == data.vocabulary
    with pytest.raises(SpecError, match="comes without pydoc_data"):
        data.load(0)


def test_the_reference_names_its_python() -> None:
    assert PythonReference().source() == f"python {sys.version.split()[0]}"


def test_the_reference_is_cut_down_to_its_beginning() -> None:
    whole, part = PythonReference().load(0), PythonReference(downscale=0.1).load(0)
    np.testing.assert_array_equal(part.train, whole.train[: round(0.1 * len(whole.train))])
    np.testing.assert_array_equal(part.test, whole.test)
    assert part.vocabulary == whole.vocabulary


# Fetched texts.


@every_fetched_set
def test_a_fetched_text_is_its_lines_by_the_training_vocabulary(kind: type[Dataset]) -> None:
    text = loaded(made(kind))
    train = counted(wiki_lines("train"))
    for name, split in (("train", "train"), ("validation", "valid"), ("test", "test")):
        tokens = [token if token in train else UNKNOWN for token in counted(wiki_lines(split))]
        numbers = getattr(text, name)
        assert [text.vocabulary.tokens[number] for number in numbers] == tokens
        assert text.vocabulary.decode(numbers).count("\n") == tokens.count("<eos>")
    assert isinstance(text.train, np.memmap)


def test_wikitext_103_is_cut_down_to_its_beginning() -> None:
    whole, part = loaded(WikiText103()), loaded(WikiText103(downscale=0.1))
    assert 0.1 <= len(part.train) / len(whole.train) < 0.11
    np.testing.assert_array_equal(part.train, whole.train[: len(part.train)])
    np.testing.assert_array_equal(part.test, whole.test)
    assert part.vocabulary == whole.vocabulary


def test_shakespeare_is_split_contiguously_90_5_5() -> None:
    text = loaded(TinyShakespeare())
    lengths = np.array([len(getattr(text, name)) for name in SPLITS])
    np.testing.assert_allclose(lengths, lengths.sum() * np.array([0.9, 0.05, 0.05]), atol=1)
    decoded = "".join(text.vocabulary.decode(getattr(text, name)) for name in SPLITS)
    assert decoded == fetched_texts.play()
    words = loaded(TinyShakespeare(tokens="word"))
    assert words.vocabulary.decode(words.train).startswith("citizen : ")


@pytest.mark.parametrize("kind", [*FETCHED, TinyShakespeare])
def test_a_text_that_was_not_fetched_says_how_to_get_it(
    kind: type[Dataset], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_CACHE", str(here / "empty"))
    data = made(kind)
    assert f"run `dropviz data fetch {data.name}`" in data.missing()
    assert data.task.outputs > 1
    with pytest.raises(SpecError, match="has to be fetched first"):
        data.load(0)


def test_the_documented_vocabularies_are_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    documented = {kind: kind.types for kind in FETCHED}
    assert documented == {PennTreebank: 10_000, WikiText2: 33_278, WikiText103: 267_735}
    for kind, types in documented.items():
        assert made(kind).task.outputs == 10_000
        assert made(kind, vocabulary=types).task.outputs == types
    assert TinyShakespeare().task.outputs == 66


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"test": b" other \n"}, r"the SHA-1 of wikitext-2/wiki\.test\.tokens is .*, expected is "),
        ({"valid": None}, r"There is no item named 'wikitext-2/wiki\.valid\.tokens'"),
    ],
)
def test_an_archive_with_other_members_is_refused(
    changed: dict[str, bytes | None], sentence: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = {"wikitext-2-v1.zip": wiki_archive("wikitext-2", **changed)}
    fetched_texts.put(WikiText2, archive, here / "cache", monkeypatch)
    with pytest.raises(SpecError, match=sentence) as error:
        WikiText2().load(0)
    assert str(error.value).endswith("remove it, then fetch it again.")


def test_a_damaged_archive_is_named(here: Path) -> None:
    path = WikiText103().fetched(WikiText103.files[0])
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("wikitext-103/wiki.train.tokens").header_offset
    content[start + 200 : start + 400] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"is damaged \(.*\): remove it, then fetch it again") as error:
        WikiText103().load(0)
    assert str(path) in str(error.value)
    path.write_bytes(bytes(len(content)))
    with pytest.raises(SpecError, match="is damaged"):
        WikiText103().load(0)


def test_a_text_that_is_not_utf_8_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {f"ptb.{split}.txt": b" \xff\xfe \n" for split in fetched_texts.LINES_OF}
    fetched_texts.put(PennTreebank, contents, here / "cache", monkeypatch)
    with pytest.raises(SpecError, match=r"ptb\.train\.txt is damaged .*: remove it, then fetch it again"):
        PennTreebank().load(0)
    fetched_texts.put(TinyShakespeare, {"input.txt": b"\xff" * 9}, here / "cache", monkeypatch)
    with pytest.raises(SpecError, match=r"input\.txt is damaged .*: remove it, then fetch it again"):
        TinyShakespeare().load(0)


def test_a_place_where_the_encoded_text_cannot_be_kept_is_named(here: Path) -> None:
    PennTreebank().load(0)
    (encoded,) = (here / "cache" / "ptb").glob("encoded-*")
    encoded.unlink()
    encoded.mkdir()
    ptb._text.cache_clear()
    with pytest.raises(SpecError, match=r"cannot be kept in .*: make room, or set DROPVIZ_CACHE"):
        PennTreebank().load(0)


# A person's own text.


def own(content: bytes, **knobs: object) -> OwnText:
    return OwnText.from_table({"name": "text", "file": uploads.keep(content, "text")} | knobs)


def test_an_own_text_is_split_contiguously_80_10_10() -> None:
    content = "".join(f"word{number} " for number in range(2000))
    text = loaded(own(content.encode()))
    assert [len(getattr(text, name)) for name in SPLITS] == [1600, 200, 200]
    assert len(text.vocabulary) == 1601
    assert text.vocabulary.decode(text.train[:2]) == "word0 word1"
    assert not text.validation.any()  # every word of it is unknown


def test_an_own_text_may_lie_in_the_mounted_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_FILES", str(here))
    (here / "mine.txt").write_text("a b " * 600)
    data = OwnText(file="mine.txt")
    assert data.task.outputs == 3
    first = data.source()
    (here / "mine.txt").write_text("a b c " * 600)
    assert data.task.outputs == 4
    assert data.source() != first


def test_line_ends_and_a_byte_order_mark_make_no_difference() -> None:
    plain, windows = b"one line\nnext\n\n" * 100, b"\xef\xbb\xbf" + b"one line\r\nnext\r\n\r\n" * 100
    one, other = (loaded(own(content, tokens="character")) for content in (plain, windows))
    assert other.vocabulary.decode(other.train) == one.vocabulary.decode(one.train)
    assert one.vocabulary.decode(one.train).startswith("one line\nnext\n\none")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"word \n" * 300 + b"\xff",
            r"is not UTF-8: byte 1,800 \(0xff, line 301\) does not fit: save it as UTF-8\.",
        ),
        (
            "word ".encode("utf-16") * 300,
            r"is not UTF-8: byte 0 \(0xff, line 1\) does not fit: save it as UTF-8\.",
        ),
        (
            b"word \n" * 300 + b"\0",
            r"is not plain text: byte 1,800 \(line 301\) is NUL: choose a text file\.",
        ),
        (b"word " * 999, r"has 999 words: choose a text of at least 1,000\."),
    ],
)
def test_a_file_that_is_no_text_is_refused(content: bytes, sentence: str) -> None:
    data = own(content)
    with pytest.raises(SpecError, match=sentence) as error:
        data.load(0)
    assert data.missing() == str(error.value)
    assert data.task.outputs == data.vocabulary


def test_a_text_without_a_file_is_missing_and_has_a_task() -> None:
    data = OwnText()
    assert data.missing().startswith("No file is chosen: upload one")
    assert data.source() == ""
    assert data.task.outputs == data.vocabulary
