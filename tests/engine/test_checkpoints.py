"""Checkpoint files: there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dropviz.engine.checkpoints import Checkpoint, Checkpoints
from dropviz.experiment import ExperimentSpec
from dropviz.store import Claim, Store, records


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def checkpoints(data: Path) -> Iterator[Checkpoints]:
    store = Store.open()
    yield Checkpoints(store)
    store.close()


STATE = {"parameter/weight1": torch.tensor([[0.1, 1e-40], [float("inf"), -0.0]]), "step": torch.tensor(7)}


def claim(job_id: int, attempt: int = 1, **changes: str) -> Claim:
    wanted = {"spec": "{}", "arm": "dropout"} | changes
    return Claim(job_id=job_id, attempt=attempt, seeds=(0, 1), advance_once=False, **wanted)


def test_a_checkpoint_comes_back_bit_for_bit(checkpoints: Checkpoints) -> None:
    checkpoints.write(claim(3), Checkpoint(state=STATE, step=7, seq=41))
    read = checkpoints.read(claim(3))
    assert read is not None
    assert (read.step, read.seq) == (7, 41)
    for name, tensor in STATE.items():
        assert read.state[name].numpy().tobytes() == tensor.numpy().tobytes()
    assert [path.name for path in checkpoints.folder.iterdir()] == ["3.safetensors"]


@pytest.mark.parametrize("length", [0, 5, 100])
def test_a_damaged_checkpoint_means_starting_over(checkpoints: Checkpoints, length: int) -> None:
    checkpoints.write(claim(3), Checkpoint(state=STATE, step=7, seq=41))
    path = checkpoints.path(3)
    path.write_bytes(path.read_bytes()[:length])
    assert checkpoints.read(claim(3)) is None
    assert checkpoints.read(claim(4)) is None


@pytest.mark.parametrize("changes", [{"arm": "none"}, {"spec": '{"p":0.1}'}])
def test_a_checkpoint_of_another_job_of_the_same_number_is_not_used(
    checkpoints: Checkpoints, changes: dict[str, str]
) -> None:
    checkpoints.write(claim(3), Checkpoint(state=STATE, step=7, seq=41))
    assert checkpoints.read(claim(3, attempt=2)) is not None
    assert checkpoints.read(claim(3, **changes)) is None


def test_a_checkpoint_of_other_code_is_not_used(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.write(claim(3), Checkpoint(state=STATE, step=7, seq=41))
    monkeypatch.setattr(records, "code_version", lambda: "another")
    assert checkpoints.read(claim(3)) is None


def test_stores_side_by_side_keep_their_checkpoints_apart(data: Path, checkpoints: Checkpoints) -> None:
    checkpoints.write(claim(3), Checkpoint(state=STATE, step=7, seq=41))
    other = Store.open(data / "other.db")
    assert Checkpoints(other).read(claim(3)) is None
    other.close()


def test_checkpoints_of_jobs_that_ended_are_swept(checkpoints: Checkpoints, tiny: ExperimentSpec) -> None:
    store = checkpoints.store
    store.submit(tiny)
    (job,) = store.live_jobs()
    for number in (job.id, job.id + 1):
        checkpoints.write(claim(number), Checkpoint(state=STATE, step=7, seq=41))
    checkpoints.sweep()
    assert checkpoints.read(claim(job.id)) is not None
    assert checkpoints.read(claim(job.id + 1)) is None
    store.request(store.experiments()[0].id, "stop")
    checkpoints.sweep()
    assert checkpoints.read(claim(job.id)) is None
