"""Checkpoint files: there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dropviz import settings
from dropviz.engine import checkpoints
from dropviz.engine.checkpoints import Checkpoint
from dropviz.experiment import ExperimentSpec
from dropviz.store import Store


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path))
    return tmp_path


STATE = {"parameter/weight1": torch.tensor([[0.1, 1e-40], [float("inf"), -0.0]]), "step": torch.tensor(7)}


def test_a_checkpoint_comes_back_bit_for_bit() -> None:
    checkpoints.write(3, 1, Checkpoint(state=STATE, step=7, seq=41))
    read = checkpoints.read(3)
    assert read is not None
    assert (read.step, read.seq) == (7, 41)
    for name, tensor in STATE.items():
        assert read.state[name].numpy().tobytes() == tensor.numpy().tobytes()
    assert [path.name for path in settings.checkpoint_dir().iterdir()] == ["3.safetensors"]


@pytest.mark.parametrize("length", [0, 5, 100])
def test_a_damaged_checkpoint_means_starting_over(length: int) -> None:
    checkpoints.write(3, 1, Checkpoint(state=STATE, step=7, seq=41))
    path = checkpoints.path_of(3)
    path.write_bytes(path.read_bytes()[:length])
    assert checkpoints.read(3) is None
    assert checkpoints.read(4) is None


def test_checkpoints_of_jobs_that_ended_are_swept(tiny: ExperimentSpec) -> None:
    store = Store.open()
    store.submit(tiny)
    (job,) = store.live_jobs()
    for number in (job.id, job.id + 1):
        checkpoints.write(number, 1, Checkpoint(state=STATE, step=7, seq=41))
    checkpoints.sweep(store)
    assert checkpoints.read(job.id) is not None
    assert checkpoints.read(job.id + 1) is None
    store.request(store.experiments()[0].id, "stop")
    checkpoints.sweep(store)
    assert checkpoints.read(job.id) is None
    store.close()
