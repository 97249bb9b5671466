"""Restoring where the parts of a store are on several disks: all of it is there afterwards, and so is what was there before."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropviz.commands.upkeep import restore as restoring
from dropviz.commands.upkeep.backup import backup
from dropviz.commands.upkeep.restore import restore
from dropviz.engine import lock
from dropviz.experiment import preset
from dropviz.store import Store
from dropviz.store.parts import Parts

SHM = Path("/dev/shm")
UPLOAD = "a" * 64


@pytest.fixture(autouse=True)
def _no_lock_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command ends with its process; here it would keep the lock."""
    monkeypatch.setattr(lock, "acquire", lambda: 0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another disk than the temporary ones."""
    if not SHM.is_dir() or SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("There is no second file system to write to.")
    folder = Path(tempfile.mkdtemp(dir=SHM))
    yield folder
    shutil.rmtree(folder)


def use(monkeypatch: pytest.MonkeyPatch, data: Path, database: Path | None = None) -> None:
    monkeypatch.setenv("DROPVIZ_DEVICE", "cpu")
    monkeypatch.setenv("DROPVIZ_DATA", str(data))
    if database is None:
        monkeypatch.delenv("DROPVIZ_STORE", raising=False)
    else:
        monkeypatch.setenv("DROPVIZ_STORE", f"sqlite:///{database}")


def filled(content: bytes) -> None:
    """A store with a run, and a file of each kind with this in it."""
    store = Store.open()
    if not store.live_jobs():
        store.submit(preset("noisy-digits").with_settings(['arms=["none"]', "seeds=2", "model.widths=[8]"]))
    parts = Parts.of(store.database)
    store.close()
    for path in (
        parts.uploads / UPLOAD,
        parts.replication / "small.json",
        parts.weights / "1" / "40.safetensors",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A backup."""
    use(monkeypatch, tmp_path / "first")
    filled(b"from the backup")
    backup(tmp_path / "kept.tar")
    return tmp_path / "kept.tar"


def is_restored(data: Path, database: Path) -> None:
    assert (data / "uploads" / UPLOAD).read_bytes() == b"from the backup"
    assert (data / "replication" / "small.json").read_bytes() == b"from the backup"
    weights = database.with_suffix(".weights") / "1" / "40.safetensors"
    assert weights.read_bytes() == b"from the backup"
    Store.open().close()
    for folder in (data, database.parent, data / "uploads"):
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("former", [False, True], ids=["none was there", "one was there"])
def test_a_database_on_another_disk_than_the_rest(
    kept: Path, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, former: bool
) -> None:
    data, database = tmp_path / "second", disk / "dropviz.db"
    use(monkeypatch, data, database)
    if former:
        filled(b"from before")
    assert restore(kept, replace=former) == 0
    is_restored(data, database)
    if former:
        (aside,) = disk.glob("replaced-*")
        assert (aside / "dropviz.db").is_file()
        assert (aside / "uploads" / UPLOAD).read_bytes() == b"from before"
        assert [path.name for path in (aside / "uploads").iterdir()] == [UPLOAD]
        assert (aside / "replication" / "small.json").read_bytes() == b"from before"


def test_a_folder_that_a_link_leads_to_another_disk_stays_there(
    kept: Path, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "second"
    use(monkeypatch, data)
    for name in ("uploads", "dropviz.weights"):
        (disk / name).mkdir()
        data.mkdir(exist_ok=True)
        (data / name).symlink_to(disk / name)
    filled(b"from before")
    assert restore(kept, replace=True) == 0
    is_restored(data, data / "dropviz.db")
    for name in ("uploads", "dropviz.weights"):
        assert (data / name).resolve() == disk / name
    (aside,) = data.glob("replaced-*")
    assert (aside / "uploads" / UPLOAD).read_bytes() == b"from before"
    assert (aside / "dropviz.weights" / "1" / "40.safetensors").read_bytes() == b"from before"


def test_where_the_former_store_cannot_be_moved_aside_it_is_as_it_was(
    kept: Path, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, database = tmp_path / "second", disk / "dropviz.db"
    use(monkeypatch, data, database)
    filled(b"from before")
    before = database.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restoring.shutil, "copytree", full)
    with pytest.raises(OSError, match="No space left"):
        restore(kept, replace=True)
    assert database.read_bytes() == before
    assert (data / "uploads" / UPLOAD).read_bytes() == b"from before"
    assert not list(disk.glob("replaced-*"))
    assert not [path for path in (*disk.iterdir(), *data.iterdir()) if path.name.startswith(".")]
