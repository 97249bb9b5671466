"""Checkpoint files: there whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
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


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def header(content: bytes) -> tuple[dict, bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(table: dict, data: bytes) -> bytes:
    text = json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text + data


def changed(content: bytes, name: str, **values: object) -> bytes:
    table, data = header(content)
    table[name] |= values
    return with_header(table, data)


DAMAGES = {
    "a bit of a tensor": lambda content: flipped(content, len(content) - 9),
    "a bit of the header": lambda content: flipped(content, 20),
    "nothing but zeros": lambda content: bytes(len(content)),
    "not a number": lambda content: with_header(
        header(content)[0], header(content)[1][:-16] + np.full(4, np.nan, "<f4").tobytes()
    ),
    "another shape": lambda content: changed(content, "parameter/weight1", shape=[4, 1]),
    "another step": lambda content: changed(content, "__metadata__", step="8"),
    "another place in the series": lambda content: changed(content, "__metadata__", seq="9"),
    "a step that is no number": lambda content: changed(content, "__metadata__", step="soon"),
    "no digest": lambda content: with_header(
        {"__metadata__": {"step": "7", "seq": "41"}} | {"step": header(content)[0]["step"]},
        header(content)[1],
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_whatever_changed_on_the_disk_is_noticed(checkpoints: Checkpoints, what: str) -> None:
    checkpoints.write(claim(3), Checkpoint(state=STATE, step=7, seq=41))
    path = checkpoints.path(3)
    content = path.read_bytes()
    path.write_bytes(DAMAGES[what](content))
    assert path.read_bytes() != content
    assert checkpoints.read(claim(3)) is None


def test_every_single_bit_counts(checkpoints: Checkpoints) -> None:
    checkpoints.write(claim(3), Checkpoint(state=STATE, step=7, seq=41))
    path = checkpoints.path(3)
    content = path.read_bytes()
    spaces = set(range(8, 8 + int.from_bytes(content[:8], "little"))) & {
        place for place, byte in enumerate(content) if byte == ord(" ")
    }  # what fills the header up says nothing
    for place in set(range(len(content))) - spaces:
        path.write_bytes(flipped(content, place))
        assert checkpoints.read(claim(3)) is None, place


def test_a_checkpoint_that_does_not_fit_on_the_disk_leaves_the_former_one_and_no_rest(
    checkpoints: Checkpoints,
) -> None:
    checkpoints.write(claim(3), Checkpoint(state=STATE, step=7, seq=41))
    program = """
import resource, signal
import torch
from dropviz.engine.checkpoints import Checkpoint, Checkpoints
from dropviz.store import Claim, Store
checkpoints = Checkpoints(Store.open())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
claim = Claim(job_id=3, attempt=2, spec="{}", arm="dropout", seeds=(0, 1), advance_once=False)
try:
    checkpoints.write(claim, Checkpoint(state={"a": torch.zeros(1000)}, step=8, seq=50))
except OSError as error:
    print(error.strerror)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "File too large"
    assert [path.name for path in checkpoints.folder.iterdir()] == ["3.safetensors"]
    assert checkpoints.read(claim(3)).step == 7


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
