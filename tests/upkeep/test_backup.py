"""Backup and restore: of a store that is served; and archives that are damaged, foreign, newer or hostile."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dropviz.commands.upkeep.archive import Manifest, place
from dropviz.commands.upkeep.backup import backup
from dropviz.commands.upkeep.restore import restore
from dropviz.engine import lock
from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from dropviz.store.migrations import VERSION
from dropviz.store.parts import Parts
from dropviz.web import handed_in
from tests.houses import open_house, wait_until

FORMER = Path(__file__).parents[1] / "store" / "schema_3.sql"


@pytest.fixture(autouse=True)
def _no_lock_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command ends with its process; here it would keep the lock."""
    monkeypatch.setattr(lock, "acquire", lambda: 0)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Use a data directory from here on."""
    monkeypatch.delenv("DROPVIZ_STORE", raising=False)
    monkeypatch.setenv("DROPVIZ_DEVICE", "cpu")

    def use(name: str) -> Path:
        monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path / name))
        return tmp_path / name

    return use


@pytest.fixture
def kept(at: Callable[[str], Path], tmp_path: Path) -> Path:
    """A backup of a store with one file of every kind."""
    folder = at("first")
    store = Store.open()
    store.submit(spec())
    store.close()
    parts = Parts(folder / "dropviz.db")
    for path in (
        parts.weights / "1" / "40.safetensors",
        parts.weights / "99" / "40.safetensors",  # of no job of this store
        parts.checkpoints / "1.safetensors",
        parts.checkpoints / "1.2.tmp",  # just being written
        parts.uploads / ("a" * 64),
        parts.handed_in / ("b" * 64),
        parts.replication / "small.json",
        parts.secret,
        folder / "engine.log",
        folder / "datasets" / "big",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    assert backup(tmp_path / "kept.tar") == 0
    return tmp_path / "kept.tar"


def spec() -> ExperimentSpec:
    from dropviz.experiment import preset

    changes = ['arms=["dropout"]', "seeds=2", "train.steps=3000", "model.widths=[8]"]
    return preset("noisy-digits").with_settings([*changes, "observe.evaluations=100", "observe.statistics=0"])


def test_a_backup_has_what_cannot_be_had_again_and_nothing_else(kept: Path) -> None:
    with tarfile.open(kept) as tar:
        names = tar.getnames()
    assert names == [
        "checkpoints/1.safetensors",
        "dropviz.db",
        "weights/1/40.safetensors",
        f"uploads/{'a' * 64}",
        f"handed-in/{'b' * 64}",
        "replication/small.json",
        "dropviz.secret",
        "manifest.json",
    ]
    assert kept.stat().st_mode & 0o077 == 0, "links' secret is readable by its user alone"


def test_it_becomes_the_store_of_an_empty_directory(kept: Path, at: Callable[[str], Path]) -> None:
    folder = at("second")
    assert restore(kept, replace=False) == 0
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "dropviz.db",
        "dropviz.checkpoints/1.safetensors",
        "dropviz.weights/1/40.safetensors",
        f"uploads/{'a' * 64}",
        f"handed-in/{'b' * 64}",
        "replication/small.json",
        "dropviz.secret",
    }
    store = Store.open()
    assert [job.state for job in store.live_jobs()] == ["queued"]
    store.close()


def test_who_handed_a_file_in_is_known_afterwards(at: Callable[[str], Path], tmp_path: Path) -> None:
    at("first")
    Store.open().close()
    handed_in.note("ada", "a" * 64)
    assert backup(tmp_path / "marked.tar") == 0
    at("second")
    assert not handed_in.by("ada", "a" * 64)
    assert restore(tmp_path / "marked.tar", replace=False) == 0
    assert handed_in.by("ada", "a" * 64)
    assert not handed_in.by("bob", "a" * 64)


def test_a_store_that_is_there_stays_unless_it_is_to_be_moved_aside(
    kept: Path, at: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = at("first")
    before = (folder / "dropviz.db").read_bytes()
    with pytest.raises(ValueError, match=r"has a store already: .* --replace"):
        restore(kept, replace=False)
    assert (folder / "dropviz.db").read_bytes() == before
    assert restore(kept, replace=True) == 0
    (aside,) = folder.glob("replaced-*")
    assert str(aside) in capsys.readouterr().out
    assert (aside / "dropviz.db").read_bytes() == before
    assert (aside / "dropviz.weights" / "99" / "40.safetensors").exists()
    assert not list(folder.glob(".restoring-*"))


def test_a_former_schema_is_upgraded_and_a_newer_one_refused(
    at: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = at("first")
    folder.mkdir()
    with closing(sqlite3.connect(folder / "dropviz.db")) as connection, connection:
        connection.executescript(FORMER.read_text())
    backup(tmp_path / "former.tar")
    at("second")
    restore(tmp_path / "former.tar", replace=False)
    Store.open().close()
    newer = changed(tmp_path / "former.tar", manifest=lambda table: table | {"schema": VERSION + 1})
    at("third")
    with pytest.raises(ValueError, match=f"a newer DropViz .* schema {VERSION + 1}: update DropViz first"):
        restore(newer, replace=False)


def changed(
    path: Path,
    *,
    manifest: Callable[[dict], dict] = lambda table: table,
    member: Callable[[tarfile.TarInfo], None] = lambda member: None,
    content: Callable[[str, bytes], bytes] = lambda name, content: content,
    extra: tarfile.TarInfo | None = None,
) -> Path:
    """The same archive with something changed, its manifest fitting unless that is what is changed."""
    to = path.with_name("changed.tar")
    with tarfile.open(path) as old, tarfile.open(to, "w") as new:
        if extra is not None:
            new.addfile(extra, io.BytesIO(b"x" * extra.size))
        for one in old:
            file = old.extractfile(one)
            assert file is not None
            body = content(one.name, file.read())
            if one.name == "manifest.json":
                body = json.dumps(manifest(json.loads(body))).encode()
            member(one)
            one.size = len(body)
            new.addfile(one, io.BytesIO(body))
    return to


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, "/etc/passwd"
    return found


def named(name: str) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size = 1
    return found


HOSTILE = {
    "a path outside": (named("../outside"), "no name of a backup"),
    "an absolute path": (named("/tmp/outside"), "no name of a backup"),
    "a path outside below a folder": (named("uploads/../../outside"), "no name of a backup"),
    "another name": (named("settings.toml"), "no name of a backup"),
    "a symbolic link": (link("dropviz.secret", tarfile.SYMTYPE), "is not a file"),
    "a hard link": (link("dropviz.secret", tarfile.LNKTYPE), "is not a file"),
    "a device": (link("dropviz.secret", tarfile.CHRTYPE), "is not a file"),
    "a folder": (link("uploads", tarfile.DIRTYPE), "is not a file"),
    "a name twice": (named("dropviz.secret"), "no name of a backup"),
    "a file that the manifest has not": (named("replication/more.json"), "is not what was backed up"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(
    kept: Path, at: Callable[[str], Path], tmp_path: Path, what: str
) -> None:
    extra, refusal = HOSTILE[what]
    folder = at("second")
    with pytest.raises(ValueError, match=refusal):
        restore(changed(kept, extra=extra), replace=False)
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "outside").exists()


def test_what_claims_more_than_the_disk_has_is_refused_before_it_is_written(
    kept: Path, at: Callable[[str], Path]
) -> None:
    huge = tarfile.TarInfo(f"uploads/{'b' * 64}")
    huge.size = 2**50
    with tarfile.open(kept.with_name("huge.tar"), "w") as tar:
        tar.fileobj.write(huge.tobuf(tarfile.GNU_FORMAT))
    at("second")
    with pytest.raises(ValueError, match="no room"):
        restore(kept.with_name("huge.tar"), replace=False)


def test_a_damaged_archive_is_refused(kept: Path, at: Callable[[str], Path], tmp_path: Path) -> None:
    folder = at("second")
    flipped = changed(kept, content=lambda name, body: body[::-1] if "weights" in name else body)
    with pytest.raises(ValueError, match=r"'weights/1/40\.safetensors' in it is not what was backed up"):
        restore(flipped, replace=False)
    whole = kept.read_bytes()
    for length in (0, 100, len(whole) // 2, whole.index(b"manifest.json")):
        (tmp_path / "cut.tar").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut.tar.* (is not a backup|cannot be restored)"):
            restore(tmp_path / "cut.tar", replace=False)
    (tmp_path / "cut.tar").write_bytes(b"PK\x03\x04" * 1000)
    with pytest.raises(ValueError, match="is not a backup"):
        restore(tmp_path / "cut.tar", replace=False)
    for broken in ("[]", '{"files": 3}', "nothing"):
        with pytest.raises(ValueError, match="its manifest cannot be read"):
            Manifest.of_json(broken.encode())
    with pytest.raises(ValueError, match="No such file"):
        restore(tmp_path / "none.tar", replace=False)
    assert list(folder.iterdir()) == []


def test_a_database_that_is_damaged_is_refused_though_its_hash_fits(
    kept: Path, at: Callable[[str], Path]
) -> None:
    def broken(name: str, body: bytes) -> bytes:
        return body[:4096] + b"\xff" * 8192 + body[12288:] if name == "dropviz.db" else body

    def fitting(table: dict) -> dict:
        with tarfile.open(kept) as tar:
            body = broken("dropviz.db", tar.extractfile("dropviz.db").read())  # type: ignore[union-attr]
        digest = hashlib.sha256(body).hexdigest()
        return table | {"files": table["files"] | {"dropviz.db": [len(body), digest]}}

    folder = at("second")
    with pytest.raises(ValueError, match="The database in this backup is damaged"):
        restore(changed(kept, content=broken, manifest=fitting), replace=False)
    assert list(folder.iterdir()) == []


def test_what_cannot_be_written_is_said_and_nothing_is_left(
    kept: Path, at: Callable[[str], Path], tmp_path: Path
) -> None:
    at("first")
    with pytest.raises(ValueError, match="is not a directory"):
        backup(tmp_path / "nowhere" / "b.tar")
    (tmp_path / "taken").mkdir()
    with pytest.raises(ValueError, match="cannot be written"):
        backup(tmp_path / "taken")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    at("empty")
    with pytest.raises(ValueError, match="There is no store at"):
        backup(tmp_path / "b.tar")


def test_every_name_has_its_place(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "a.db")
    assert place(parts, "dropviz.db") == parts.database
    assert place(parts, "dropviz.secret") == parts.secret
    assert place(parts, "weights/3/40.safetensors") == parts.weights / "3" / "40.safetensors"


def test_runs_go_on_elsewhere_from_a_backup_that_was_made_while_they_ran(
    tmp_path: Path, at: Callable[[str], Path]
) -> None:
    here, there = open_house(tmp_path / "here"), tmp_path / "there"
    view_id = here.store.submit(spec())
    with here.engine():
        wait_until(lambda: here.job(view_id).step > 0, "it runs", 300)
        here.store.request(view_id, "pause")  # which makes a checkpoint
        wait_until(lambda: here.job(view_id).state == "paused", "it pauses", 300)
        at("here")
        here.store.request(view_id, "run")
        wait_until(lambda: here.job(view_id).pid is not None, "it runs again", 300)
        pid = here.job(view_id).pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # or it might be done before the backup is
        assert backup(tmp_path / "kept.tar") == 0
        assert here.job(view_id).state == "running", "the test is of no use if it is done already"
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: here.job(view_id).state == "done", "the end", 300)
    at("there")
    assert restore(tmp_path / "kept.tar", replace=False) == 0
    elsewhere = open_house(there)
    assert 0 < elsewhere.job(view_id).step < 3000
    with elsewhere.engine():
        wait_until(lambda: elsewhere.job(view_id).state == "done", "the end", 300)
    assert elsewhere.job(view_id).attempt == 3  # it paused once, and was moved once
    assert elsewhere.series(view_id) == here.series(view_id)
    assert elsewhere.weights(view_id) == here.weights(view_id)
    for house in (here, elsewhere):
        house.store.close()
