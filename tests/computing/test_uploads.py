"""Files that a person hands in: kept once under their hash, and no name leads out of their folders."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dropviz import uploads
from dropviz.choices import SpecError
from dropviz.datasets import registry


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("DROPVIZ_FILES", raising=False)
    return tmp_path / "data"


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "files"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "mine.txt").write_bytes(b"my text")
    (tmp_path / "secret.txt").write_bytes(b"not yours")
    monkeypatch.setenv("DROPVIZ_FILES", str(folder))
    return folder


def test_an_upload_is_kept_once_under_its_hash() -> None:
    digest = uploads.keep(b"some text", "text")
    assert digest == hashlib.sha256(b"some text").hexdigest()
    assert uploads.keep(b"some text", "csv") == digest
    assert uploads.read(digest, "text") == b"some text"
    assert [path.name for path in uploads.folder().iterdir()] == [digest]


def test_a_file_of_the_mounted_folder_is_named_by_its_path_there(mounted: Path) -> None:
    assert uploads.read("below/mine.txt", "text") == b"my text"
    assert uploads.path_of("below/../below/mine.txt") == mounted / "below" / "mine.txt"


@pytest.mark.parametrize("name", ["../secret.txt", "below/../../secret.txt", "/etc/passwd", "link.txt"])
def test_no_name_leads_out_of_the_mounted_folder(name: str, mounted: Path) -> None:
    (mounted / "link.txt").symlink_to(mounted.parent / "secret.txt")
    with pytest.raises(SpecError, match=r"leads out of DROPVIZ_FILES: name a file below that folder"):
        uploads.read(name, "text")


@pytest.mark.parametrize("name", ["other.txt", "below", "nul\0.txt", "x" * 5000, "loop"])
def test_a_name_without_a_file_is_refused(name: str, mounted: Path) -> None:
    (mounted / "loop").symlink_to(mounted / "loop")
    with pytest.raises(SpecError, match="is not a file below DROPVIZ_FILES: choose one that is there"):
        uploads.read(name, "text")


def test_without_a_mounted_folder_only_uploads_have_names() -> None:
    with pytest.raises(SpecError, match=r"'../x' is not an uploaded file.*upload it, or set DROPVIZ_FILES"):
        uploads.path_of("../x")
    with pytest.raises(SpecError, match="No file is chosen: upload one"):
        uploads.path_of("")
    with pytest.raises(SpecError, match=r"The upload 0000.*is not on this machine: upload that file again"):
        uploads.path_of("0" * 64)


def test_a_folder_of_files_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_FILES", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"DROPVIZ_FILES = .* is not a directory: name one, or unset it"):
        uploads.path_of("mine.txt")


def test_empty_and_too_large_files_are_refused(mounted: Path) -> None:
    with pytest.raises(SpecError, match="The uploaded file is empty: choose one with content"):
        uploads.keep(b"", "csv")
    with pytest.raises(
        SpecError, match="The uploaded file has 5,000,001 bytes, and a text file may have 5 MB: cut it down"
    ):
        uploads.keep(b"a" * 5_000_001, "text")
    (mounted / "large.txt").write_bytes(b"a" * 5_000_001)
    with pytest.raises(SpecError, match=r"'large\.txt' has 5,000,001 bytes"):
        uploads.read("large.txt", "text")


def test_an_upload_that_changed_on_disk_is_refused() -> None:
    digest = uploads.keep(b"some text", "text")
    (uploads.folder() / digest).write_bytes(b"same size")
    with pytest.raises(SpecError, match="is damaged on disk: upload that file again"):
        uploads.read(digest, "text")


def test_uploads_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = uploads.keep(b"a" * 600, "text")
    monkeypatch.setattr(uploads, "MOST_BYTES_TOGETHER", 1000)
    assert uploads.keep(b"a" * 600, "text") == kept
    with pytest.raises(SpecError, match=r"take 0 MB, of 0 MB that there are.*remove some"):
        uploads.keep(b"b" * 600, "text")


def test_an_experiment_keeps_a_mounted_file_as_it_was(mounted: Path) -> None:
    table = "a,b,label\n" + "".join(f"{i},{i * i % 7},{'yes' if i % 3 else 'no'}\n" for i in range(60))
    (mounted / "mine.csv").write_text(table)
    named = registry.read({"name": "csv", "file": "mine.csv"})
    pinned = named.pinned()
    assert pinned.source() == named.source() == pinned.to_table()["file"]
    before = named.load(3)
    (mounted / "mine.csv").write_text(table.replace("yes", "maybe").replace("1,", "2,"))
    assert registry.read(pinned.to_table()).pinned() == pinned
    after = pinned.load(3)
    assert all((vars(before)[name] == vars(after)[name]).all() for name in vars(before))
    assert named.source() != pinned.source()


def test_a_text_is_pinned_too_and_what_cannot_be_read_is_left_to_be_refused(mounted: Path) -> None:
    (mounted / "long.txt").write_text("one two three four five. " * 300)
    named = registry.read({"name": "text", "file": "long.txt"})
    assert named.pinned().source() == hashlib.sha256((mounted / "long.txt").read_bytes()).hexdigest()
    missing = registry.read({"name": "text", "file": "gone.txt"})
    assert missing.pinned() == missing
