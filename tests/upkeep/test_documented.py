"""What the documents say of containers' backups and of going back to an older version, done by their very commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from dropviz.engine.checkpoints import Checkpoints
from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Store
from dropviz.store.copying import copy_database
from dropviz.store.files import write_whole
from tests.upkeep.documented import Shell, blocks

FORMER = "dropviz.db.schema-3.bak"  # in the document's example


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory that the settings name."""
    monkeypatch.delenv("DROPVIZ_STORE", raising=False)
    monkeypatch.setenv("DROPVIZ_DEVICE", "cpu")
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def spec(first_seed: int) -> ExperimentSpec:
    changes = [
        'arms=["dropout"]',
        "seeds=2",
        "train.steps=40",
        "model.widths=[8]",
        f"first_seed={first_seed}",
    ]
    return preset("noisy-digits").with_settings(changes)


def submitted(store: Store, first_seed: int, weights: float) -> int:
    """A job with weights and a checkpoint of its own."""
    job = store.experiment(store.submit(spec(first_seed))).jobs[0].id
    store.weights.keep(job, 40, {"w": np.full(3, weights)}, of=f"of {weights}", attempt=1)
    write_whole(Checkpoints(store).path(job), str(weights).encode(), 1)
    return job


def content(folder: Path) -> dict[str, bytes]:
    """The files of a store by name, those of its database left out."""
    found = (path for part in folder.glob("dropviz.*") for path in (part, *part.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in found if "dropviz.db" not in path.name
    }


def ids(folder: Path) -> set[str]:
    store = Store.open(folder / "dropviz.db")
    try:
        return {one.id for one in store.experiments()}
    finally:
        store.close()


def test_going_back_to_the_copy_loses_nothing_of_what_the_newer_version_computed(
    data: Path, tmp_path: Path
) -> None:
    store = Store.open()
    first = submitted(store, 0, 1.0)
    before = ids(data)
    copy_database(data / "dropviz.db", data / FORMER)
    second = submitted(store, 10, 2.0)
    store.close()
    newer, everything = content(data), ids(data)

    (block,) = blocks("upgrading.md")
    Shell(tmp_path / "shell").run(f"set -e\n{block}", data)
    assert ids(data) == before
    store = Store.open()
    assert store.weights.has(first, 40, of="of 1.0"), "the older version finds the weights of its own jobs"
    Checkpoints(store).sweep()  # as its engine does
    assert submitted(store, 20, 3.0) == second, "the same number"
    store.close()

    assert content(data / "newer") == newer
    forward = tmp_path / "forward"
    shutil.move(data / "newer", forward)
    assert ids(forward) == everything


def test_a_backup_is_copied_out_of_a_container_and_restored_through_a_pipe(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open()
    submitted(store, 0, 1.0)
    store.close()
    kept = ids(data)
    take, bring_back, *_ = blocks("container.md", "Backup and restore")
    shell = Shell(tmp_path / "shell")
    shell.run(take, data)
    assert not list(data.glob("*.tar"))
    store = Store.open()
    submitted(store, 10, 2.0)
    store.close()

    shell.run(bring_back, data)
    assert ids(data) == kept
    (aside,) = data.glob("replaced-*")
    assert len(ids(aside)) == 2
